include:
  - marketplace.cache
