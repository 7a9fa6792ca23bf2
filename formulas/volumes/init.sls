{% from "volumes/map.jinja" import volumes with context %}

Ensure the file system tools are installed:
  pkg.installed:
    - pkgs: [e2fsprogs, mount]
    - install_recommends: False

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
      - pkg: Ensure the file system tools are installed
{% endfor %}
