# A droplet to try things on. Example names are accepted here, and nowhere else.

backend:
  image: registry.example.com/team/marketplace
  version: "1.0.0"
  environment:
    LOG_LEVEL: debug

edge:
  domains:
    - bot.test
