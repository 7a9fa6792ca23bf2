{% set settings = pillar.settings %}
{% set own = {"ca.pem": "/etc/marketplace/tls/services.pem"} %}
{% set database = {settings.postgres.trusted: settings.postgres.authority} %}
{% set cache = {settings.redis.trusted: settings.redis.authority} %}

include:
  - marketplace.gate
  - marketplace.authority
  - marketplace.providers

Ensure every secret is in the store:
  secret.present: []

Ensure the backend has its secrets:
  secret.delivered:
    - name: backend
    - files:
        telegram_token: telegram_token
        webhook_secret: backend_webhook_secret
        database_password: postgres_app_password
        redis_password: redis_app_password
    - copies: {{ dict(own, **dict(database, **cache)) | json }}
    - uid: {{ settings.backend.user.split(":")[0] }}
    - gid: {{ settings.backend.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store

Ensure migrations have the owner's password:
  secret.delivered:
    - name: migration
    - files: {database_password: {{ settings.postgres.owner_secret }}}
    - copies: {{ dict(own, **database) | json }}
    - uid: {{ settings.backend.user.split(":")[0] }}
    - gid: {{ settings.backend.user.split(":")[1] }}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store

Ensure Docker can pull from the registry:
  secret.docker_login:
    - require:
      - secret: Ensure every secret is in the store
