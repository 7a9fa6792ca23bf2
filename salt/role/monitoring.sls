include:
  - marketplace.watch
  - marketplace.drift
