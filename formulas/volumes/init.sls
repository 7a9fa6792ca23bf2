{% from "volumes/map.jinja" import volumes with context %}

Ensure the file system tools are installed:
  apt_package.installed:
    - pkgs: [e2fsprogs, mount]

{% for path, volume in volumes.mounts | dictsort %}
Ensure the volume {{ path }} is mounted:
  {{ "block_volume" if volume.device else "volume" }}.mounted:
    - name: {{ path }}
    - device: {{ volume.device or "''" }}
    - image: {{ volume.image }}
    - size: {{ volume.size }}
    - directory: {{ volume.directory }}
    - user: {{ volume.user }}
    - group: {{ volume.group }}
    - mode: "{{ volume.get("mode", "0700") }}"
    - with_releases: {{ volume.get("with_releases", True) }}
    - require:
      - apt_package: Ensure the file system tools are installed
{% endfor %}

Ensure holes in the images can be filled:
  file.managed:
    - name: /etc/systemd/system/volumes-allocate.service
    - source: salt://volumes/files/volumes-allocate.service.jinja
    - template: jinja
    - context:
        mounts: {{ volumes.mounts | json }}

Ensure holes in the images are filled every hour:
  file.managed:
    - name: /etc/systemd/system/volumes-allocate.timer
    - source: salt://volumes/files/volumes-allocate.timer

Ensure systemd knows how holes are filled:
  systemd_unit.current:
    - name: volumes-allocate.service
    - restart: False
    - watch:
      - file: Ensure holes in the images can be filled

Ensure systemd knows when holes are filled:
  systemd_unit.current:
    - name: volumes-allocate.timer
    - files: [/etc/systemd/system/volumes-allocate.timer]
    - watch:
      - file: Ensure holes in the images are filled every hour

Ensure the timer that fills holes is running:
  systemd_service.running:
    - name: volumes-allocate.timer
    - enable: True
    - require:
      - systemd_unit: Ensure systemd knows when holes are filled
