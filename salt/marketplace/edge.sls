include:
  - marketplace.gate
  - marketplace.edge_files
  - haproxy.running

# A reload is not needed for it, and an update that is being answered does not even notice.
Ensure the proxy serves the certificate of its file:
  haproxy.certificate_served:
    - name: /etc/haproxy/certs/{{ pillar.settings.edge.domains[0] }}.pem
    - watch:
      - local_certificate: Ensure the edge has a certificate
    - require:
      - haproxy: Ensure the proxy uses its configuration
