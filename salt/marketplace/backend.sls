include:
  - marketplace.gate
  - marketplace.database
  - marketplace.cache
  - marketplace.edge

Ensure the backend has a unit:
  file.managed:
    - name: /etc/systemd/system/marketplace-backend.service
    - source: salt://marketplace/files/marketplace-backend.service.jinja
    - template: jinja

Ensure systemd knows the backend's unit:
  systemd_unit.current:
    - name: marketplace-backend.service
    - restart: False
    - watch:
      - file: Ensure the backend has a unit

Ensure the backend is released:
  release.live:
    - require:
      - sls: marketplace.database
      - sls: marketplace.cache
      - sls: marketplace.edge

Ensure the backend starts at boot and stops in order:
  systemd_service.running:
    - name: marketplace-backend
    - enable: True
    - require:
      - file: Ensure the backend has a unit
      - release: Ensure the backend is released

Ensure what the backend schedules is looked after every minute:
  file.managed:
    - name: /etc/cron.d/marketplace-jobs
    - source: salt://marketplace/files/jobs.cron
    - require:
      - release: Ensure the backend is released
