# certbot's states come first, as those of every file that is included.
include:
  - marketplace.gate
  - marketplace.edge
{%- if pillar.settings.edge.directory %}
  - certbot
{%- endif %}

Ensure the edge serves its authority's certificate:
  acme_certificate.served:
    - address: {{ pillar.certbot.address }}
    - port: {{ pillar.certbot.port }}
    - require:
      - sls: marketplace.edge
