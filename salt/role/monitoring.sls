include:
  - marketplace.watch
  - marketplace.measured
  - marketplace.drift
