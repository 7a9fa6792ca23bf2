{% set edge = pillar.settings.edge %}

include:
  - marketplace.gate
  - marketplace.edge_files
  - haproxy.running

# A reload is not needed for it, and an update that is being answered does not even notice.
Ensure the proxy serves the certificate of its file:
  haproxy.certificate_served:
    - name: /etc/haproxy/certs/{{ edge.domains[0] }}.pem
    - watch:
      - local_certificate: Ensure the edge has a certificate
    - require:
      - haproxy: Ensure the proxy uses its configuration

# Not before: until then it is asked as it was, and nobody takes the change for an outage.
Ensure the watchdog asks for the name that the edge has:
  file.serialize:
    - name: /etc/marketplace/edge.json
    - dataset:
        domains: {{ edge.domains | json }}
        directory: {{ edge.directory | json }}
        certificate: {{ edge.certificate | json }}
        root: {{ edge.root | json }}
    - serializer: json
    - require:
      - haproxy: Ensure the proxy serves the certificate of its file
