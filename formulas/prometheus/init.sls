{% from "prometheus/map.jinja" import prometheus with context %}

# Before it is there: the package starts it at once, and then by its own idea of where to listen.
Ensure Prometheus is confined:
  file.managed:
    - name: /etc/systemd/system/prometheus.service.d/confined.conf
    - source: salt://prometheus/files/prometheus.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        prometheus: {{ prometheus | json }}

Ensure Prometheus is installed:
  apt_package.installed:
    - pkgs: [prometheus]
    - require:
      - file: Ensure Prometheus is confined

{% for name, source in prometheus.rules.items() %}
Ensure the rules of {{ name }} are known:
  file.managed:
    - name: /etc/prometheus/rules/{{ name }}.yml
    - source: {{ source }}
    - makedirs: True
    - check_cmd: /usr/bin/promtool check rules
    - require:
      - apt_package: Ensure Prometheus is installed
    - require_in:
      - file: Ensure it is known what is measured
    - watch_in:
      - systemd_unit: Ensure Prometheus is current
{% endfor %}

Ensure it is known what is measured:
  file.serialize:
    - name: /etc/prometheus/prometheus.yml
    - serializer: yaml
    - dataset: {{ prometheus.config | json }}
    - check_cmd: /usr/bin/promtool check config
    - require:
      - apt_package: Ensure Prometheus is installed

Ensure Prometheus is current:
  systemd_unit.current:
    - name: prometheus.service
    - files: {{ (["/etc/prometheus/prometheus.yml", "/etc/systemd/system/prometheus.service.d/confined.conf"] + prometheus.config.rule_files) | json }}
    - watch:
      - file: Ensure it is known what is measured
      - file: Ensure Prometheus is confined

Ensure Prometheus is running:
  systemd_service.running:
    - name: prometheus
    - enable: True
    - require:
      - systemd_unit: Ensure Prometheus is current
