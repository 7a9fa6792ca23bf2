{% set redis, ours = pillar.settings.redis, pillar.services.ours %}
{% set user = {"rediss://" ~ redis.users.monitoring ~ "@" ~ redis.address ~ ":" ~ redis.port: "{secret:redis_monitoring_password}"} %}
{% set users = {"redis_passwords.json": user | json ~ "\n"} if "redis" in ours else {} %}
{% set passwords = {"postgres_password": "postgres_monitoring_password"} if "postgres" in ours else {} %}

# What exporters log in with, and by whom they know whom they ask: there before they are.
include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.database
  - marketplace.cache

Ensure monitoring can log in to the data services:
  secret.delivered:
    - name: monitoring
    - files: {{ passwords | json }}
    - rendered: {{ users | json }}
    - copies: {ca.pem: /etc/marketplace/tls/services.pem}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store
