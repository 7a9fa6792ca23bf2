{% from "packages/map.jinja" import packages with context %}

Ensure the basic packages are installed:
  apt_package.installed:
    - pkgs: {{ packages.present | json }}

Ensure cron is running:
  systemd_service.running:
    - name: cron
    - enable: True
    - require:
      - apt_package: Ensure the basic packages are installed
