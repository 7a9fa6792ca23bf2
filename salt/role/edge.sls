include:
  - marketplace.edge
