{% set redis = pillar.settings.redis %}

# What exporters log in with, and by whom they know whom they ask: there before they are.
include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.database
  - marketplace.cache

Ensure monitoring can log in to the data services:
  secret.delivered:
    - name: monitoring
    - files: {postgres_password: postgres_monitoring_password}
    - rendered:
        redis_passwords.json: |
          {"rediss://{{ redis.users.monitoring }}@{{ redis.address }}:{{ redis.port }}": "{secret:redis_monitoring_password}"}
    - copies: {ca.pem: /etc/marketplace/tls/services.pem}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store
