include:
  - marketplace.edge
  - marketplace.certificate
