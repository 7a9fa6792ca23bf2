{% set domains = pillar.settings.edge.domains %}

# What the proxy's configuration refers to, and so has to be there before it is checked.
include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.edge_trust
  - firewall
  - logs
  - haproxy

Ensure the edge has a certificate:
  local_certificate.present:
    - name: /etc/haproxy/certs/{{ domains[0] }}.pem
    - public: /etc/marketplace/tls/{{ domains[0] }}.crt
    - domains: {{ domains | json }}
    # The proxy is not even configured before the firewall is in force, and it logs into a socket of its own journal.
    - require:
      - sls: firewall
      - sls: logs
      - sls: haproxy
    - require_in:
      - file: Ensure the proxy is configured

# Read by the proxy when it starts, before it gives up being root. What is being replaced is let in as well.
Ensure the edge knows what only Telegram knows:
  secret.delivered:
    - name: /etc/haproxy/secrets
    - dir_mode: "0700"
    - rendered:
        webhook_paths: |
          {{ pillar.settings.edge.webhook_path }}/{secret:webhook_path}{while:webhook_path_before|
          {{ pillar.settings.edge.webhook_path }}/{secret:webhook_path_before}}
        webhook_secrets: |
          {secret:webhook_secret}{while:webhook_secret_before|
          {secret:webhook_secret_before}}
        backend_secret: |
          backend {secret:backend_webhook_secret}
    - require:
      - sls: haproxy
      - secret: Ensure every secret is in the store
    - require_in:
      - file: Ensure the proxy is configured
    - watch_in:
      - haproxy: Ensure the proxy uses its configuration

# From here on both are the release engine's: never written again.
Ensure there is a live map:
  file.managed:
    - name: /var/lib/marketplace/live.map
    - contents: live none
    - makedirs: True
    - replace: False
    - require_in:
      - file: Ensure the proxy is configured

Ensure there is a maintenance map:
  file.managed:
    - name: /var/lib/marketplace/maintenance.map
    - contents: |
        operator off
        release off
    - makedirs: True
    - replace: False
    - require_in:
      - file: Ensure the proxy is configured
