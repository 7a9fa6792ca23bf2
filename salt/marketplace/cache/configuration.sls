include:
  - marketplace.gate

Ensure Redis's settings are written:
  file.managed:
    - name: /etc/marketplace/redis/redis.conf
    - source: salt://marketplace/files/redis.conf.jinja
    - template: jinja
    - makedirs: True
