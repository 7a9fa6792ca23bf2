{% from "barman/map.jinja" import barman with context %}

Ensure the backup programs are installed:
  apt_package.installed:
    - pkgs: [barman, cron, postgresql-client-{{ barman.major }}, systemd, zstd]

# In the place of the package's, which runs as a user of its own.
Ensure finished log segments are put away every minute:
  file.managed:
    - name: /etc/cron.d/barman
    - source: salt://barman/files/cron.jinja
    - template: jinja
    - context:
        barman: {{ barman | json }}
    - require:
      - apt_package: Ensure the backup programs are installed

Ensure backups have a place:
  file.directory:
    - name: {{ barman.home }}
    - user: {{ barman.user }}
    - group: {{ barman.user }}
    - mode: "0700"

Ensure backups are configured:
  file.managed:
    - name: /etc/barman.conf
    - source: salt://barman/files/barman.conf.jinja
    - template: jinja
    - context:
        barman: {{ barman | json }}
    - require:
      - apt_package: Ensure the backup programs are installed

Ensure the servers to back up are known:
  file.managed:
    - name: /etc/barman.d/servers.conf
    - source: salt://barman/files/servers.conf.jinja
    - template: jinja
    - context:
        barman: {{ barman | json }}
    - require:
      - apt_package: Ensure the backup programs are installed

Ensure a server's log can be received:
  file.managed:
    - name: /etc/systemd/system/barman-receive-wal@.service
    - source: salt://barman/files/barman-receive-wal@.service.jinja
    - template: jinja
    - context:
        barman: {{ barman | json }}

{% for server in barman.servers %}
Ensure systemd knows how the log of {{ server }} is received:
  systemd_unit.current:
    - name: barman-receive-wal@{{ server }}.service
    - files: [/etc/barman.conf, /etc/barman.d/servers.conf, /etc/systemd/system/barman-receive-wal@.service]
    - watch:
      - file: Ensure backups are configured
      - file: Ensure the servers to back up are known
      - file: Ensure a server's log can be received
{% endfor %}
