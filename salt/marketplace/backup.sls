# Of a database at a provider there is no log here: what is backed up is a dump.
{% set log = "marketplace.backup_log" if "postgres" in pillar.services.ours else "marketplace.no_backup_log" %}

include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.database
  - marketplace.cache
  - volumes
  - {{ log }}

Ensure what backups are made with is installed:
  apt_package.installed:
    - pkgs: [rclone, zstd]

Ensure backups have a small share of the processors:
  file.managed:
    - name: /etc/systemd/system/background.slice
    - source: salt://marketplace/files/background.slice

Ensure the nightly backup has a part of one processor:
  file.managed:
    - name: /etc/systemd/system/background-nightly.slice
    - source: salt://marketplace/files/background-nightly.slice

Ensure systemd knows the share of backups:
  systemd_unit.current:
    - names: [background.slice, background-nightly.slice]
    - restart: False
    - watch:
      - file: Ensure backups have a small share of the processors
      - file: Ensure the nightly backup has a part of one processor

Ensure there is a backup to begin with:
  backup.present:
    - require:
      - systemd_unit: Ensure systemd knows the share of backups
      - sls: marketplace.cache
      - sls: marketplace.database
      - sls: {{ log }}
      - sls: volumes
      - apt_package: Ensure what backups are made with is installed

Ensure backups are taken every night:
  file.managed:
    - name: /etc/cron.d/marketplace-backup
    - source: salt://marketplace/files/backup.cron.jinja
    - template: jinja
    - require:
      - sls: {{ log }}
