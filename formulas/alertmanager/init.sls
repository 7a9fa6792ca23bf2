{% from "alertmanager/map.jinja" import alertmanager with context %}

# Before it is there: the package starts it at once, and then for everybody.
Ensure Alertmanager is confined:
  file.managed:
    - name: /etc/systemd/system/prometheus-alertmanager.service.d/confined.conf
    - source: salt://alertmanager/files/alertmanager.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        port: {{ alertmanager.port }}
        memory: {{ alertmanager.memory }}
        credentials: {{ alertmanager.credentials | json }}

Ensure Alertmanager is installed:
  apt_package.installed:
    - pkgs: [prometheus-alertmanager]
    - require:
      - file: Ensure Alertmanager is confined

Ensure alerts have a form:
  file.managed:
    - name: /etc/prometheus/alertmanager_templates/messages.tmpl
    - source: {{ alertmanager.messages }}
    - makedirs: True
    - require:
      - apt_package: Ensure Alertmanager is installed

Ensure it is known whom to tell of what:
  file.serialize:
    - name: /etc/prometheus/alertmanager.yml
    - serializer: yaml
    - dataset: {{ alertmanager.config | json }}
    - check_cmd: /usr/bin/amtool check-config
    - require:
      - file: Ensure alerts have a form

Ensure Alertmanager is current:
  systemd_unit.current:
    - name: prometheus-alertmanager.service
    - files: {{ (["/etc/prometheus/alertmanager.yml", "/etc/prometheus/alertmanager_templates/messages.tmpl", "/etc/systemd/system/prometheus-alertmanager.service.d/confined.conf"] + alertmanager.credentials.values() | list) | json }}
    - watch:
      - file: Ensure it is known whom to tell of what
      - file: Ensure alerts have a form
      - file: Ensure Alertmanager is confined

Ensure Alertmanager is running:
  systemd_service.running:
    - name: prometheus-alertmanager
    - enable: True
    - require:
      - systemd_unit: Ensure Alertmanager is current
