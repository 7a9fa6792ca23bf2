{% set settings = pillar.settings %}
{% set places = {"postgres": "marketplace.database.configuration", "redis": "marketplace.cache.configuration"} %}
{% set configurations = pillar.services.ours | map("replace", "postgres", places.postgres) | map("replace", "redis", places.redis) | list %}

include: {{ (["marketplace.gate", "marketplace.secrets", "logs", "volumes", "docker", "marketplace.networks"] + configurations) | json }}

Ensure the data services are described:
  file.serialize:
    - name: /etc/marketplace/data/compose.yaml
    - serializer: yaml
    - serializer_opts:
      - sort_keys: False
    - makedirs: True
    - dataset:
        name: data
        services:
          {%- filter indent(10) %}
{% include "marketplace/files/services.jinja" %}
          {%- endfilter %}
        networks:
          data: {external: true}

Ensure the data services are running:
  compose.running:
    - name: data
    - file: /etc/marketplace/data/compose.yaml
    - read_at_start:
        redis: [/etc/marketplace/redis/redis.conf]
    - holds:
        postgres:
          directory: /srv/data/postgres/data
          file: 17/PG_VERSION
          mark: /var/lib/marketplace/volumes/postgres.initialised
    - images: {postgres: "{{ settings.postgres.reference }}", redis: "{{ settings.redis.reference }}"}
    - versions:
        postgres: {command: [postgres, --version], file: /srv/data/postgres/data/17/PG_VERSION}
    # What it writes at its end it has written before: it is away for a moment less.
    - prepare:
        postgres: [psql, -qX, -U, postgres, -c, CHECKPOINT]
    # Of what is at a provider now there may be a container of before; its data stay.
    - retired: {{ pillar.services.theirs | json }}
    - allow_restart: {{ pillar.get("allow_restart", False) }}
    - require:
      - sls: marketplace.secrets
      # Each logs into a socket of its own journal.
      - sls: logs
      - sls: volumes
      - sls: marketplace.networks
      - file: Ensure the data services are described
{%- for configuration in configurations %}
      - sls: {{ configuration }}
{%- endfor %}

Ensure the data services have a unit:
  file.managed:
    - name: /etc/systemd/system/marketplace-data.service
    - source: salt://marketplace/files/marketplace-data.service.jinja
    - template: jinja

Ensure systemd knows the data services' unit:
  systemd_unit.current:
    - name: marketplace-data.service
    - restart: False
    - watch:
      - file: Ensure the data services have a unit

# Started, so that it has something to stop when the droplet goes down.
Ensure the data services start at boot and stop in order:
  systemd_service.running:
    - name: marketplace-data
    - enable: True
    - require:
      - compose: Ensure the data services are running
      - file: Ensure the data services have a unit
