# By whom the edge's checks know PostgreSQL and Redis.
include:
  - marketplace.gate
  - marketplace.authority
  - marketplace.providers
  - haproxy

Ensure the edge trusts the services' authority:
  secret.delivered:
    - name: /etc/haproxy/services
    - copies: {ca.pem: /etc/marketplace/tls/services.pem, redis.pem: {{ pillar.settings.redis.authority }}}
    - dir_mode: "0700"
    - require:
      - sls: haproxy
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require_in:
      - file: Ensure the proxy is configured
    - watch_in:
      - haproxy: Ensure the proxy uses its configuration
