{% set network = pillar.settings.network %}
{% set measuring = [
  "prometheus.service", "prometheus-node-exporter.service", "prometheus-postgres-exporter.service",
  "prometheus-redis-exporter.service", "prometheus-blackbox-exporter.service",
] %}

include:
  - marketplace.gate
  - marketplace.absent.allowed

# First: what cron or a timer starts would find half of it.
Ensure cron starts nothing of ours:
  before.restored:
    - below: /etc/cron.d

# In this order: nobody restarts what stops; the edge closes and updates wait; the backend ends its work; the log is
# received to its end.
# What measures and tells listens everywhere by Debian's own settings: it is stopped also where its package stays.
{% for unit in [
  "marketplace-drift.timer", "marketplace-watch.service", "updates-reboot.timer", "volumes-allocate.timer",
  "prometheus-alertmanager.service",
  "haproxy.service", "marketplace-backend.service", "marketplace-data.service",
] + (measuring if pillar.settings.monitoring.strength == "full" else []) %}
Ensure {{ unit }} is stopped for good:
  service.dead:
    - name: {{ unit }}
    - enable: False
    - failhard: True
{% endfor %}

Ensure nobody receives the database's log any more:
  backup.not_received:
    - name: postgres
    - failhard: True

Ensure no containers of ours are left:
  removal.contained:
    - networks: [{{ network.app.name }}, {{ network.data.name }}]
    - failhard: True
