include:
  - marketplace.watch
