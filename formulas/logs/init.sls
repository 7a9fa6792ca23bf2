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

# Nobody's unit asks for them: what logs there does so by their sockets.
Ensure the journals of namespaces take messages from boot on:
  file.managed:
    - name: /etc/systemd/system/sockets.target.d/journals.conf
    - source: salt://logs/files/journals.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        namespaces: {{ logs.namespaces | list | json }}

# Else they would stop before their writers at a shutdown, and nobody's last words were kept.
Ensure the journals of namespaces outlive who writes to them:
  file.managed:
    - name: /etc/systemd/system/systemd-journald@.service.d/order.conf
    - makedirs: True
    - contents:
      - "[Unit]"
      - "Before={{ logs.writers | join(' ') }}"

Ensure systemd knows the journals of namespaces:
  systemd_unit.current:
    - name: sockets.target
    - restart: False
    - watch:
      - file: Ensure the journals of namespaces take messages from boot on
{% for name, journal in logs.namespaces | dictsort %}
Ensure the journal of {{ name }} is kept:
  file.managed:
    - name: /etc/systemd/journald@{{ name }}.conf
    - source: salt://logs/files/journald.conf.jinja
    - template: jinja
    - context:
        journal: {{ dict(logs.journal, **journal) | json }}

Ensure the journal of {{ name }} takes messages:
  systemd_service.running:
    - name: systemd-journald@{{ name }}.socket
    - require:
      - systemd_unit: Ensure systemd knows the journals of namespaces
      - file: Ensure the journal of {{ name }} is kept

# It ends by itself when nobody has said anything for a while.
Ensure the journal of {{ name }} uses its configuration:
  systemd_unit.current:
    - name: systemd-journald@{{ name }}.service
    - files: [/etc/systemd/journald@{{ name }}.conf]
    - watch:
      - file: Ensure the journal of {{ name }} is kept
      - file: Ensure the journals of namespaces outlive who writes to them
{% endfor %}
