{% from "certbot/map.jinja" import certbot with context %}

Ensure the certificate client is installed:
  apt_package.installed:
    - pkgs: [certbot]

Ensure the renewal runs what it should:
  file.managed:
    - name: /etc/systemd/system/certbot.service.d/renew.conf
    - source: salt://certbot/files/renew.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        renew: {{ certbot.renew }}

Ensure the renewal's unit is current:
  systemd_unit.current:
    - name: certbot.service
    - restart: False
    - watch:
      - file: Ensure the renewal runs what it should
    - require:
      - apt_package: Ensure the certificate client is installed

Ensure certificates are renewed by a timer:
  systemd_service.running:
    - name: certbot.timer
    - enable: True
    - require:
      - apt_package: Ensure the certificate client is installed
      - systemd_unit: Ensure the renewal's unit is current
