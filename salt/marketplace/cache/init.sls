{% set redis = pillar.settings.redis %}

include:
  - marketplace.gate
  - marketplace.data

Ensure Redis knows its users:
  redis_server.users_loaded:
    - name: /etc/marketplace/delivered/redis/users.acl
    - host: {{ redis.address }}
    - port: {{ redis.port }}
    - operator: {{ redis.users.operator }}
    - secret: redis_operator_password
    - container: redis
    - allow_restart: {{ pillar.get("allow_restart", False) }}
    - require:
      - compose: Ensure the data services are running
