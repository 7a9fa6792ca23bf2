{% from "exporters/map.jinja" import exporters with context %}

Ensure exporters that nobody wants are not installed:
  apt_package.removed:
    - pkgs: {{ exporters.removed | json }}
    - before: {{ exporters.before | json }}

{% for unit in exporters.removed %}
Ensure {{ unit }} has no configuration:
  file.absent:
    - name: /etc/exporters/{{ unit }}.yml
    - require:
      - apt_package: Ensure exporters that nobody wants are not installed

Ensure nothing of ours is left of {{ unit }}'s unit:
  file.absent:
    - name: /etc/systemd/system/{{ unit }}.service.d/confined.conf
    - require:
      - apt_package: Ensure exporters that nobody wants are not installed

Ensure {{ unit }} runs without it where it stays:
  systemd_unit.current:
    - name: {{ unit }}.service
    - files: [/etc/systemd/system/{{ unit }}.service.d]
    - onchanges:
      - file: Ensure nothing of ours is left of {{ unit }}'s unit
{% endfor %}
