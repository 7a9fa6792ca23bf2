# By strength: what measures is there, or it is gone.
include:
  - marketplace.gate
{%- if pillar.settings.monitoring.strength == "full" %}
  - marketplace.metrics
{%- else %}
  - marketplace.no_metrics
{%- endif %}
