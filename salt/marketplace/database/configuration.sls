# Of a PostgreSQL in a container here.
include:
  - marketplace.gate
  - marketplace.secrets

Ensure PostgreSQL's settings can be checked:
  file.managed:
    - name: /usr/local/sbin/check-postgresql-conf
    - source: salt://marketplace/files/check-postgresql-conf
    - mode: "0755"

Ensure PostgreSQL's settings are written:
  file.managed:
    - name: /etc/marketplace/postgres/postgresql.conf
    - source: salt://marketplace/files/postgresql.conf.jinja
    - template: jinja
    - makedirs: True
    - check_cmd: /usr/local/sbin/check-postgresql-conf
    - require:
      - file: Ensure PostgreSQL's settings can be checked

Ensure PostgreSQL's access rules are written:
  file.managed:
    - name: /etc/marketplace/postgres/pg_hba.conf
    - source: salt://marketplace/files/pg_hba.conf.jinja
    - template: jinja
    - makedirs: True

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
