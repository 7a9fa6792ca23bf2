include:
  - marketplace.watch
{%- if pillar.settings.monitoring.strength == "full" %}
  - marketplace.metrics
{%- else %}
  - marketplace.no_metrics
{%- endif %}
  - marketplace.drift
