# yaml-language-server: $schema=../../docs/settings.schema.json
# A rehearsal of production: same images, same limits, a bot and a name of its own.
# state.apply refuses the example.com names below: put your own there. The bot's token belongs in pillar/local of the
# droplet; on a laptop that converges production too, name here the file that it is in (pillar/local/README.md).

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
    - staging.bot.example.com
  # Let's Encrypt's rehearsal: its limits are generous, and nobody trusts it. Telegram is given its root to trust:
  # put the certificate of a root of https://letsencrypt.org/docs/staging-environment/ here (docs/edge.md).
  certificate: letsencrypt-staging
  # root: |
  #   -----BEGIN CERTIFICATE-----
