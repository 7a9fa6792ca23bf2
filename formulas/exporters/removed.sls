{% from "exporters/map.jinja" import exporters with context %}

Ensure exporters that nobody wants are not installed:
  apt_package.removed:
    - pkgs: {{ exporters.removed | json }}

Ensure exporters that nobody wants have no configuration:
  file.absent:
    - name: /etc/exporters
    - require:
      - apt_package: Ensure exporters that nobody wants are not installed

{% for unit in exporters.removed %}
Ensure nothing is left of {{ unit }}'s unit:
  file.absent:
    - name: /etc/systemd/system/{{ unit }}.service.d
    - require:
      - apt_package: Ensure exporters that nobody wants are not installed
{% endfor %}
