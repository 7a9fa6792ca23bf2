{% set domain = pillar.settings.edge.domains[0] %}

include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.certificate
  - marketplace.backend

Ensure the webhook is registered:
  webhook.registered:
    - certificate: {{ "''" if pillar.settings.edge.directory else "/etc/marketplace/tls/" ~ domain ~ ".crt" }}
    - require:
      - sls: marketplace.certificate
      - release: Ensure the backend is released
