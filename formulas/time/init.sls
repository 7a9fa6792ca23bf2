{% from "time/map.jinja" import time with context %}

Ensure the time packages are installed:
  pkg.installed:
    - pkgs: [chrony, tzdata]
    - install_recommends: False

# Files, not timedatectl: it needs a running D-Bus, which a minimal system may not have yet.
Ensure the time zone is set:
  file.symlink:
    - name: /etc/localtime
    - target: /usr/share/zoneinfo/{{ time.timezone }}
    - force: True
    - require:
      - pkg: Ensure the time packages are installed

Ensure the time zone is named:
  file.managed:
    - name: /etc/timezone
    - contents: {{ time.timezone }}

Ensure the clock is kept in step:
  service.running:
    - name: chrony
    - enable: True
    - require:
      - pkg: Ensure the time packages are installed
