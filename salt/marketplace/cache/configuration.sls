include:
  - marketplace.gate

Ensure Redis's settings are written:
  file.managed:
    - name: /etc/marketplace/redis/redis.conf
    - source: salt://marketplace/files/redis.conf.jinja
    - template: jinja
    - makedirs: True

Ensure Redis knows how to listen:
  file.managed:
    - name: /etc/marketplace/redis/listen.conf
    - source: salt://marketplace/files/redis-listen.conf.jinja
    - template: jinja
    - makedirs: True
