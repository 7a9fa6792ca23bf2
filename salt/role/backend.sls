include:
  - marketplace.backend
  - marketplace.webhook
