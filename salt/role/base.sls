include:
  - marketplace.gate
  - minion
  - packages
  - time
  - logs
  - swap
  - firewall
  - volumes
  - docker
