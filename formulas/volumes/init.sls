{% from "volumes/map.jinja" import volumes with context %}

Ensure the file system tools are installed:
  apt_package.installed:
    - pkgs: [e2fsprogs, mount]

{% for path, volume in volumes.mounts | dictsort %}
Ensure the volume {{ path }} is mounted:
  volume.mounted:
    - name: {{ path }}
    - image: {{ volume.image }}
    - size: {{ volume.size }}
    - directory: {{ volume.directory }}
    - user: {{ volume.user }}
    - group: {{ volume.group }}
    - require:
      - apt_package: Ensure the file system tools are installed
{% endfor %}
