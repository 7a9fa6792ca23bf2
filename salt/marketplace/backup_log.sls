{% set settings = pillar.settings %}

include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.database
  - volumes
  - barman

Ensure backups can log in to the database:
  secret.delivered:
    - name: backup
    - rendered:
        pgpass: |
          {{ settings.postgres.address }}:*:*:{{ settings.postgres.roles.backup }}:{secret:postgres_backup_password}
    - copies: {ca.pem: /etc/marketplace/tls/services.pem}
    - uid: {{ pillar.volumes.mounts["/var/backups/marketplace"].user }}
    - gid: {{ pillar.volumes.mounts["/var/backups/marketplace"].group }}
    - watch:
      - service_authority: Ensure the authorities that are trusted are known
    - require:
      - secret: Ensure every secret is in the store

Ensure the database's log is received:
  backup.received:
    - name: postgres
    - require:
      - sls: volumes
      - sls: barman
      - sls: marketplace.database
      - secret: Ensure backups can log in to the database
