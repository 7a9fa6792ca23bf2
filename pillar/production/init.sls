# yaml-language-server: $schema=../../docs/settings.schema.json
# The real thing.
# state.apply refuses the example.com names below: put your own there. The bot's token belongs in pillar/local
# (see pillar/local/README.md), never here.

backend:
  # The backend's image, with its registry and without tag.
  image: registry.example.com/team/marketplace
  # The first release. Later ones are shipped by: salt-call deploy.release 1.1.0
  version: "1.0.0"
  environment:
    LOG_LEVEL: info

edge:
  # The name that points at this droplet; Telegram calls the bot there.
  domains:
    - bot.example.com
  certificate: letsencrypt
  # Told of certificates that are about to end; optional.
  # email: ops@example.com

# Who is told when something is wrong; the bot's token belongs in pillar/local (docs/monitoring.md).
# alerts:
#   telegram:
#     chat: "-1001234567890"
