# Without settings (a wrong pillar refuses by itself, a missing gate does not) only the gate runs, and says why.
base:
  '*':
{%- if pillar.get("settings") %}
    - role.base
    - role.database
    - role.cache
    - role.backup
    - role.edge
    - role.backend
    - role.monitoring
{%- else %}
    - marketplace.gate
{%- endif %}
