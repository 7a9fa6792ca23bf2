# Behind the backend, but also where that could not be released: then there is the more to tell.
include:
  - marketplace.gate
  - marketplace.secrets
  - marketplace.backend
  - minion
  - alertmanager

Ensure the watchdog has a unit:
  file.managed:
    - name: /etc/systemd/system/marketplace-watch.service
    - source: salt://marketplace/files/marketplace-watch.service.jinja
    - template: jinja

# By itself it starts anew only when its program has changed.
Ensure the watchdog is current:
  systemd_unit.current:
    - name: marketplace-watch.service
    - files: [/etc/systemd/system/marketplace-watch.service]
    - watch:
      - file: Ensure the watchdog has a unit

Ensure the droplet is watched:
  systemd_service.running:
    - name: marketplace-watch
    - enable: True
    - require:
      - systemd_unit: Ensure the watchdog is current
      - systemd_service: Ensure Alertmanager is running
