{% set domain = pillar.settings.edge.domains[0] %}

include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.edge
  - marketplace.backend

Ensure the webhook is registered:
  webhook.registered:
    - certificate: {{ "/etc/marketplace/tls/" ~ domain ~ ".crt" if pillar.settings.edge.certificate == "local" else "''" }}
    - require:
      - sls: marketplace.edge
      - release: Ensure the backend is released
