{% set monitoring = pillar.settings.monitoring %}

include:
  - marketplace.gate

Ensure drift can be looked for:
  file.managed:
    - name: /etc/systemd/system/marketplace-drift.service
    - source: salt://marketplace/files/marketplace-drift.service

Ensure drift is looked for at a set time:
  file.managed:
    - name: /etc/systemd/system/marketplace-drift.timer
    - source: salt://marketplace/files/marketplace-drift.timer.jinja
    - template: jinja

Ensure systemd knows how drift is looked for:
  systemd_unit.current:
    - name: marketplace-drift.service
    - restart: False
    - watch:
      - file: Ensure drift can be looked for

Ensure systemd knows when drift is looked for:
  systemd_unit.current:
    - name: marketplace-drift.timer
    - files: [/etc/systemd/system/marketplace-drift.timer]
    - watch:
      - file: Ensure drift is looked for at a set time

Ensure drift is looked for where that is wanted:
  systemd_service.{{ "running" if monitoring.drift else "dead" }}:
    - name: marketplace-drift.timer
    - enable: {{ monitoring.drift }}
    - require:
      - systemd_unit: Ensure systemd knows when drift is looked for

# Before all others but the gate.
Ensure what states bring with them is told from what others do:
  drift.noted:
    - order: 2

# Behind all others: these judge what those have done.
Ensure only root can change what states have written:
  drift.protected:
    - order: last

Ensure what was applied is on record:
  drift.settled:
    - whole: [marketplace.logs, marketplace.backup, marketplace.certificate, marketplace.webhook, marketplace.watch]
    - order: last
    - require:
      - drift: Ensure only root can change what states have written
