{% from "time/map.jinja" import time with context %}

Ensure the time packages are installed:
  apt_package.installed:
    - pkgs: [chrony, tzdata]

# Files, not timedatectl: it needs a running D-Bus, which a minimal system may not have yet.
Ensure the time zone is set:
  file.symlink:
    - name: /etc/localtime
    - target: /usr/share/zoneinfo/{{ time.timezone }}
    - force: True
    - require:
      - apt_package: Ensure the time packages are installed

Ensure the time zone is named:
  file.managed:
    - name: /etc/timezone
    - contents: {{ time.timezone }}

Ensure the clock is kept in step:
  systemd_service.running:
    - name: chrony
    - enable: True
    - require:
      - apt_package: Ensure the time packages are installed
