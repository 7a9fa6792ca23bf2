{% from "logs/map.jinja" import logs with context %}

Ensure the journal is kept:
  file.managed:
    - name: /etc/systemd/journald.conf.d/persistent.conf
    - source: salt://logs/files/journald.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        journal: {{ logs.journal | json }}

Ensure log files are rotated:
  file.managed:
    - name: /etc/logrotate.d/files
    - source: salt://logs/files/logrotate.jinja
    - template: jinja
    - context:
        files: {{ logs.files | json }}

Ensure the journal uses its configuration:
  systemd_unit.current:
    - name: systemd-journald.service
    - files: [/etc/systemd/journald.conf.d/persistent.conf]
    - watch:
      - file: Ensure the journal is kept
