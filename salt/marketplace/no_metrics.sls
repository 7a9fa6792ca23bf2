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

Ensure no figures are left for the host's exporter:
  file.absent:
    - name: /var/lib/prometheus/node-exporter
    - require:
      - sls: exporters.removed
