{% from "docker/map.jinja" import docker with context %}

# Before the package: its first start must already wait for the mounts.
Ensure the engine waits for its mounts:
  file.managed:
    - name: /etc/systemd/system/docker.service.d/mounts.conf
    - makedirs: True
    - contents:
      - "[Unit]"
      - "RequiresMountsFor=/var/lib/docker {{ docker.mounts | join(' ') }}"

Ensure the journal knows which lines of containers are not kept:
  file.managed:
    - name: /etc/systemd/system/docker.service.d/journal.conf
    - contents:
      - "[Service]"
      - "LogFilterPatterns="
{%- for pattern in docker.unkept %}
      - {{ ("LogFilterPatterns=~" ~ pattern) | json }}
{%- endfor %}

# On a disk without one free block no container starts, and so none came up at a boot.
Ensure the engine's reserve can be given up:
  file.managed:
    - name: /etc/systemd/system/docker-reserve.service
    - source: salt://docker/files/docker-reserve.service.jinja
    - template: jinja
    - context:
        file: {{ docker.reserve.file }}

Ensure the engine gives its reserve up where the disk is full:
  file.managed:
    - name: /etc/systemd/system/docker.service.d/reserve.conf
    - contents:
      - "[Unit]"
      - Wants=docker-reserve.service
      - After=docker-reserve.service

Ensure the engine is installed:
  apt_package.installed:
    - pkgs: {{ docker.packages | json }}
    - require:
      - file: Ensure the engine waits for its mounts
      - file: Ensure the journal knows which lines of containers are not kept
      - file: Ensure the engine gives its reserve up where the disk is full

Ensure the engine is configured:
  file.serialize:
    - name: /etc/docker/daemon.json
    - dataset: {{ docker.daemon | json }}
    - serializer: json
    - makedirs: True
    - check_cmd: /usr/sbin/dockerd --validate --config-file
    - require:
      - apt_package: Ensure the engine is installed

Ensure the engine is running:
  systemd_service.running:
    - name: docker
    - enable: True
    - require:
      - file: Ensure the engine is configured

# Live-restore keeps every container running meanwhile.
Ensure the engine uses its configuration:
  systemd_unit.current:
    - name: docker.service
    - files: [/etc/docker/daemon.json]
    - require:
      - systemd_service: Ensure the engine is running
    - watch:
      - file: Ensure the engine waits for its mounts
      - file: Ensure the journal knows which lines of containers are not kept
      - file: Ensure the engine gives its reserve up where the disk is full
      - file: Ensure the engine is configured

Ensure systemd knows how the engine's reserve is given up:
  systemd_unit.current:
    - name: docker-reserve.service
    - restart: False
    - watch:
      - file: Ensure the engine's reserve can be given up

Ensure some room is kept back for the engine:
  reserve.kept:
    - name: {{ docker.reserve.file }}
    - size: {{ docker.reserve.size }}
