include:
  - marketplace.database
