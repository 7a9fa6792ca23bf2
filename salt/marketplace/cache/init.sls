{% set redis = pillar.settings.redis %}

include:
  - marketplace.gate
  - marketplace.data

{% if "redis" in pillar.services.ours %}
Ensure Redis listens as it should:
  redis_server.listening:
    - name: /etc/marketplace/redis/listen.conf
    - host: {{ redis.address }}
    - port: {{ redis.port }}
    - plain_port: {{ redis.plain_port }}
    - authority: /etc/marketplace/tls/services.pem
    - certificate: /etc/marketplace/delivered/redis/server.pem
    - operator: {{ redis.users.operator }}
    - secret: redis_operator_password
    - container: redis
    - watch:
      - file: Ensure Redis knows how to listen
      - service_authority: Ensure redis has a certificate
    - require:
      - compose: Ensure the data services are running

Ensure Redis knows its users:
  redis_server.users_loaded:
    - name: /etc/marketplace/delivered/redis/users.acl
    - host: {{ redis.address }}
    - port: {{ redis.port }}
    - plain_port: {{ redis.plain_port }}
    - authority: /etc/marketplace/tls/services.pem
    - operator: {{ redis.users.operator }}
    - secret: redis_operator_password
    - container: redis
    - allow_restart: {{ pillar.get("allow_restart", False) }}
    - watch:
      - secret: Ensure Redis has its users
    - require:
      - redis_server: Ensure Redis listens as it should

Ensure it is known what is not encrypted yet:
  service_tls.required:
    - require:
      - redis_server: Ensure Redis knows its users
{% else %}
Ensure Redis answers at its provider:
  provider.answers:
    - name: redis
    - require:
      - secret: Ensure every secret is in the store
{% endif %}
