# Of a Redis in a container here.
include:
  - marketplace.gate
  - marketplace.secrets

Ensure Redis's settings are written:
  file.managed:
    - name: /etc/marketplace/redis/redis.conf
    - source: salt://marketplace/files/redis.conf.jinja
    - template: jinja
    - makedirs: True

Ensure Redis knows how to listen:
  file.managed:
    - name: /etc/marketplace/redis/listen.conf
    - source: salt://marketplace/files/redis-listen.conf.jinja
    - template: jinja
    - makedirs: True

# While a password is being replaced, the one before is taken as well.
# Administration is the operator's: the application can neither configure the server nor empty it by a slip.
Ensure Redis has its users:
  secret.delivered:
    - name: redis
    - rendered:
        users.acl: |
          user default off
          user {{ pillar.settings.redis.users.application }} on #{sha256:redis_app_password}{while:redis_app_password_before| #{sha256:redis_app_password_before}} ~* &* +@all -@admin -@dangerous
          user {{ pillar.settings.redis.users.operator }} on #{sha256:redis_operator_password}{while:redis_operator_password_before| #{sha256:redis_operator_password_before}} ~* &* +@all
          user {{ pillar.settings.redis.users.health }} on nopass -@all +ping
          user {{ pillar.settings.redis.users.monitoring }} on #{sha256:redis_monitoring_password}{while:redis_monitoring_password_before| #{sha256:redis_monitoring_password_before}} -@all +info +slowlog|get +slowlog|len
    - copies: {server.pem: /etc/marketplace/tls/services/redis.pem}
    - uid: {{ pillar.settings.redis.user.split(":")[0] }}
    - gid: {{ pillar.settings.redis.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure redis has a certificate
    - require:
      - secret: Ensure every secret is in the store
