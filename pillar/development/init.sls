# yaml-language-server: $schema=../../docs/settings.schema.json
# A droplet to try things on.

droplet:
  # Names of examples are taken for real ones here, and nowhere else.
  example_names: true

backend:
  image: registry.example.com/team/marketplace
  version: "1.0.0"
  environment:
    LOG_LEVEL: debug

edge:
  domains:
    - bot.test
