# Behind the watchdog, which watches whatever becomes of this.
include:
  - marketplace.gate
  - marketplace.metrics_access
  - exporters
{%- if pillar.exporters.removed %}
  - exporters.removed
{%- endif %}
  - prometheus
