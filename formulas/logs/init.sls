{% from "logs/map.jinja" import logs with context %}

Ensure the journal is kept:
  file.managed:
    - name: /etc/systemd/journald.conf.d/persistent.conf
    - source: salt://logs/files/journald.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        journal: {{ logs.journal | json }}

Ensure the journal uses its configuration:
  systemd_unit.current:
    - name: systemd-journald.service
    - files: [/etc/systemd/journald.conf.d/persistent.conf]
    - watch:
      - file: Ensure the journal is kept
