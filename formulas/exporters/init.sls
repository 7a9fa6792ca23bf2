{% from "exporters/map.jinja" import exporters with context %}

Ensure exporters are installed:
  apt_package.installed:
    - pkgs: {{ exporters.units.keys() | list | json }}

{% for unit, exporter in exporters.units.items() %}
Ensure {{ unit }} has a configuration:
  file.serialize:
    - name: /etc/exporters/{{ unit }}.yml
    - serializer: yaml
    - dataset: {{ exporter.config | json }}
    - makedirs: True
    - require_in:
      - apt_package: Ensure exporters are installed

# Before it is there: the package starts it at once, and then for everybody.
Ensure {{ unit }} is confined:
  file.managed:
    - name: /etc/systemd/system/{{ unit }}.service.d/confined.conf
    - source: salt://exporters/files/exporter.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        unit: {{ unit }}
        exporter: {{ exporter | json }}
    - require_in:
      - apt_package: Ensure exporters are installed

Ensure {{ unit }} is current:
  systemd_unit.current:
    - name: {{ unit }}.service
    - files: {{ (["/etc/exporters/" ~ unit ~ ".yml", "/etc/systemd/system/" ~ unit ~ ".service.d/confined.conf"] + exporter.credentials.values() | list) | json }}
    - watch:
      - file: Ensure {{ unit }} has a configuration
      - file: Ensure {{ unit }} is confined
    - require:
      - apt_package: Ensure exporters are installed

Ensure {{ unit }} is running:
  systemd_service.running:
    - name: {{ unit }}
    - enable: True
    - require:
      - systemd_unit: Ensure {{ unit }} is current
{% endfor %}
