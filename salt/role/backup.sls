include:
  - marketplace.backup
