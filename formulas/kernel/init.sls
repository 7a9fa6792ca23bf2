{% from "kernel/map.jinja" import kernel with context %}

include:
  - kernel.login

Ensure the kernel's settings are in force:
  kernel_settings.applied:
    - name: {{ kernel.file }}
    - settings: {{ kernel.settings | json }}

Ensure modules that nobody needs are refused:
  file.managed:
    - name: /etc/modprobe.d/host.conf
    - source: salt://kernel/files/modprobe.conf.jinja
    - template: jinja
    - context:
        modules: {{ kernel.refused_modules | json }}

# A core dump holds the secrets that the process held.
Ensure users leave no core dumps:
  file.managed:
    - name: /etc/security/limits.d/10-core.conf
    - contents:
      - "* soft core 0"
      - "* hard core 0"
      - "root soft core 0"
      - "root hard core 0"
    - makedirs: True

Ensure services leave no core dumps:
  file.managed:
    - name: /etc/systemd/system.conf.d/host.conf
    - contents:
      - "[Manager]"
      - "DefaultLimitCORE=0"
    - makedirs: True

# Should somebody install the program that collects them.
Ensure core dumps that come about are not kept:
  file.managed:
    - name: /etc/systemd/coredump.conf.d/host.conf
    - contents:
      - "[Coredump]"
      - "Storage=none"
      - "ProcessSizeMax=0"
    - makedirs: True

Ensure systemd starts services without core dumps:
  systemd_unit.manager:
    - name: DefaultLimitCORE
    - value: "0"
    - watch:
      - file: Ensure services leave no core dumps
