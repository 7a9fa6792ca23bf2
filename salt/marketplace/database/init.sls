{% set postgres = pillar.settings.postgres %}

include:
  - marketplace.gate
  - marketplace.data

{% if "postgres" in pillar.services.ours %}
Ensure PostgreSQL uses its configuration:
  postgres_server.configured:
    - name: postgres
    - files:
      - /etc/marketplace/postgres/postgresql.conf
      - /etc/marketplace/postgres/pg_hba.conf
    - certificate: /etc/marketplace/delivered/postgres/server.pem
    - address: {{ postgres.address }}
    - port: {{ postgres.port }}
    - allow_restart: {{ pillar.get("allow_restart", False) }}
    - watch:
      - file: Ensure PostgreSQL's settings are written
      - file: Ensure PostgreSQL's access rules are written
      - service_authority: Ensure postgres has a certificate
    - require:
      - compose: Ensure the data services are running

Ensure the database has its roles and grants:
  postgres_server.access_granted:
    - name: {{ postgres.database }}
    - container: postgres
    - owner: {{ postgres.roles.owner }}
    - application: {{ postgres.roles.application }}
    - roles:
        postgres: {secret: postgres_superuser_password, superuser: true}
        {{ postgres.roles.owner }}: {secret: postgres_owner_password}
        {{ postgres.roles.application }}: {secret: postgres_app_password}
        {{ postgres.roles.backup }}:
          secret: postgres_backup_password
          replication: true
          member_of: [pg_checkpoint, pg_read_all_data, pg_read_all_settings, pg_read_all_stats]
          executes:
            - pg_backup_start(text,boolean)
            - pg_backup_stop(boolean)
            - pg_create_restore_point(text)
            - pg_switch_wal()
        {{ postgres.roles.monitoring }}: {secret: postgres_monitoring_password, member_of: [pg_monitor]}
        # Whom the edge asks for; nobody can log in as it.
        health: {connects: false}
    # How long queries take, by statement: read in the database postgres.
    - extensions: [pg_stat_statements]
    - require:
      - postgres_server: Ensure PostgreSQL uses its configuration
{% else %}
Ensure PostgreSQL's client is installed:
  apt_package.installed:
    - pkgs: [postgresql-client-17]

Ensure PostgreSQL answers at its provider:
  provider.answers:
    - name: postgres
    - require:
      - apt_package: Ensure PostgreSQL's client is installed
      - secret: Ensure every secret is in the store
{% endif %}
