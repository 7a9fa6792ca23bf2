{% from "packages/map.jinja" import packages with context %}

Ensure the basic packages are installed:
  pkg.installed:
    - pkgs: {{ packages.present | json }}
    - install_recommends: False

Ensure cron is running:
  service.running:
    - name: cron
    - enable: True
    - require:
      - pkg: Ensure the basic packages are installed
