include:
  - marketplace.gate
  - marketplace.edge_files
  - haproxy.running
