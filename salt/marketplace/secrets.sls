include:
  - marketplace.gate
  - marketplace.authority

Ensure every secret is in the store:
  secret.present: []

Ensure PostgreSQL has its secrets:
  secret.delivered:
    - name: postgres
    - files: {superuser_password: postgres_superuser_password}
    - copies: {server.pem: /etc/marketplace/tls/services/postgres.pem}
    - uid: {{ pillar.settings.postgres.user.split(":")[0] }}
    - gid: {{ pillar.settings.postgres.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure postgres has a certificate
    - require:
      - secret: Ensure every secret is in the store

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

Ensure the backend has its secrets:
  secret.delivered:
    - name: backend
    - files:
        telegram_token: telegram_token
        webhook_secret: backend_webhook_secret
        database_password: postgres_app_password
        redis_password: redis_app_password
    - copies: {ca.pem: /etc/marketplace/tls/services.pem}
    - uid: {{ pillar.settings.backend.user.split(":")[0] }}
    - gid: {{ pillar.settings.backend.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store

Ensure migrations have the owner's password:
  secret.delivered:
    - name: migration
    - files: {database_password: postgres_owner_password}
    - copies: {ca.pem: /etc/marketplace/tls/services.pem}
    - uid: {{ pillar.settings.backend.user.split(":")[0] }}
    - gid: {{ pillar.settings.backend.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store

Ensure Docker can pull from the registry:
  secret.docker_login:
    - require:
      - secret: Ensure every secret is in the store
