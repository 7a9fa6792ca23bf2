{% from "updates/map.jinja" import updates with context %}

# Before the packages: their hooks read it from the first moment on.
Ensure no update restarts what must keep running:
  file.managed:
    - name: /etc/needrestart/conf.d/host.conf
    - source: salt://updates/files/needrestart.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        keep_running: {{ (updates.keep_running + ["docker", "containerd", "haproxy"]) | json }}

Ensure security updates install themselves:
  file.managed:
    - name: /etc/apt/apt.conf.d/52host-updates
    - source: salt://updates/files/apt.conf.jinja
    - template: jinja
    - context:
        held: {{ updates.held | json }}

Ensure the updater is installed:
  apt_package.installed:
    - pkgs: {{ updates.packages | json }}
    - require:
      - file: Ensure no update restarts what must keep running
      - file: Ensure security updates install themselves

# The updater's own helper: it holds a shutdown up while an upgrade runs, and would take 13 MB at all other times.
Ensure a shutdown waits for an upgrade:
  file.managed:
    - name: /etc/systemd/system/apt-daily-upgrade.service.d/waited-for.conf
    - makedirs: True
    - contents:
      - "[Unit]"
      - "Wants=unattended-upgrades.service"
      - "After=unattended-upgrades.service"

Ensure a shutdown waits for nothing else:
  file.managed:
    - name: /etc/systemd/system/unattended-upgrades.service.d/needed.conf
    - makedirs: True
    - contents:
      - "[Unit]"
      - "StopWhenUnneeded=yes"

Ensure systemd knows what waits for an upgrade:
  systemd_unit.current:
    - names: [apt-daily-upgrade.service, unattended-upgrades.service]
    - restart: False
    - require:
      - apt_package: Ensure the updater is installed
    - watch:
      - file: Ensure a shutdown waits for an upgrade
      - file: Ensure a shutdown waits for nothing else

Ensure what waits for an upgrade comes with it:
  systemd_service.disabled:
    - name: unattended-upgrades.service
    - require:
      - systemd_unit: Ensure systemd knows what waits for an upgrade

Ensure packages' files are compared every week:
  keyword_file.says:
    - name: /etc/default/debsums
    - values: {CRON_CHECK: weekly}
    - separator: "="
    - require:
      - apt_package: Ensure the updater is installed

Ensure the updater's timers are running:
  systemd_service.running:
    - names: [apt-daily.timer, apt-daily-upgrade.timer]
    - enable: True

Ensure the host can reboot for an update:
  file.managed:
    - name: /etc/systemd/system/updates-reboot.service
    - source: salt://updates/files/updates-reboot.service.jinja
    - template: jinja
    - context:
        lock: {{ updates.reboot_lock }}
        patience: {{ updates.reboot_patience }}

Ensure the host reboots for an update at a set time:
  file.managed:
    - name: /etc/systemd/system/updates-reboot.timer
    - source: salt://updates/files/updates-reboot.timer.jinja
    - template: jinja
    - context:
        time: "{{ updates.reboot_time }}"

Ensure systemd knows how the host reboots:
  systemd_unit.current:
    - name: updates-reboot.service
    - restart: False
    - watch:
      - file: Ensure the host can reboot for an update

Ensure systemd knows when the host reboots:
  systemd_unit.current:
    - name: updates-reboot.timer
    - files: [/etc/systemd/system/updates-reboot.timer]
    - watch:
      - file: Ensure the host reboots for an update at a set time

Ensure the host reboots only where it may:
  systemd_service.{{ "running" if updates.reboot else "dead" }}:
    - name: updates-reboot.timer
    - enable: {{ updates.reboot }}
    - require:
      - systemd_unit: Ensure systemd knows when the host reboots
