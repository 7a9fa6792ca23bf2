# What was measured stays: docs/monitoring.md says where.
include:
  - marketplace.gate
  - prometheus.removed
  - exporters.removed

Ensure monitoring can no longer log in to the data services:
  file.absent:
    - name: /etc/marketplace/delivered/monitoring
    - require:
      - sls: exporters.removed

# An exporter that was here before has files of others beside it.
Ensure no figures of ours are left for the host's exporter:
  file.absent:
    - name: /var/lib/prometheus/node-exporter/logs.prom
    - require:
      - sls: exporters.removed

# Once, with what was ours: what somebody changes afterwards is not ours to put back.
Ensure a Prometheus that was here before is configured as it was:
  before.restored:
    # Alertmanager has its own beside it.
    - below: /etc/prometheus/prometheus.yml
    - package: prometheus
    - onchanges:
      - file: Ensure nothing of ours is left of Prometheus's unit

Ensure it runs with that:
  systemd_unit.current:
    - name: prometheus.service
    - files: [/etc/prometheus/prometheus.yml, /etc/systemd/system/prometheus.service.d]
    - onchanges:
      - file: Ensure nothing of ours is left of Prometheus's unit
    - require:
      - before: Ensure a Prometheus that was here before is configured as it was
