# Behind the watchdog, which watches whatever becomes of this.
include:
  - marketplace.gate
  - marketplace.metrics_access
  - exporters
  - prometheus
