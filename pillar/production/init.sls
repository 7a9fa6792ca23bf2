# yaml-language-server: $schema=../../docs/settings.schema.json
# The real thing.
# state.apply refuses the example.com names below: put your own there. The bot's token belongs in pillar/local
# (see pillar/local/README.md), never here.

backend:
  # The backend's image, with its registry and without tag. Where not everybody may pull it:
  # registry: {server: registry.example.com, username: robot}, and the secret registry_password in pillar/local.
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
  # Whom the authority may write to; optional. That a certificate is not renewed, alerts tell.
  # email: ops@example.com

# Who is told when something is wrong, by a second bot, whose token belongs in pillar/local (docs/monitoring.md).
# alerts:
#   telegram:
#     chat: "-1001234567890"
