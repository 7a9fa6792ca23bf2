{% from "prometheus/map.jinja" import prometheus with context %}

# What it has measured stays in /var/lib/prometheus/metrics2, for whoever wants it again.
Ensure Prometheus is not installed:
  apt_package.removed:
    - pkgs: [prometheus]
    - before: {{ prometheus.before | json }}

Ensure nothing of ours is left of Prometheus's unit:
  file.absent:
    - name: /etc/systemd/system/prometheus.service.d/confined.conf
    - require:
      - apt_package: Ensure Prometheus is not installed

{% for name in prometheus.rules %}
Ensure the rules of {{ name }} are gone:
  file.absent:
    - name: /etc/prometheus/rules/{{ name }}.yml
    - require:
      - apt_package: Ensure Prometheus is not installed
{% endfor %}
