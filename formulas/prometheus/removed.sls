# What it has measured stays in /var/lib/prometheus/metrics2, for whoever wants it again.
Ensure Prometheus is not installed:
  apt_package.removed:
    - pkgs: [prometheus]

Ensure nothing is left of Prometheus's unit:
  file.absent:
    - name: /etc/systemd/system/prometheus.service.d
    - require:
      - apt_package: Ensure Prometheus is not installed

Ensure no rules are left:
  file.absent:
    - name: /etc/prometheus/rules
    - require:
      - apt_package: Ensure Prometheus is not installed
