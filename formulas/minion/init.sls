{% from "minion/map.jinja" import minion, requirements, lock, copied with context %}

include:
  - minion.{{ "tree" if copied else "checkout" }}

Ensure what Salt is installed with is there:
  apt_package.installed:
    - pkgs: [python3-venv, ca-certificates]

Ensure the locked list of Salt's packages is there:
  file.managed:
    - name: /usr/local/lib/salt/requirements.txt
    - source: {{ requirements }}
    - makedirs: True

Ensure the installer is there:
  file.managed:
    - name: /usr/local/lib/salt/install-salt
    - source: salt://minion/files/install-salt
    - mode: "0755"
    - makedirs: True

Ensure Salt is installed from the locked list:
  salt_environment.installed:
    - lock: {{ lock | json }}
    - installer: /usr/local/lib/salt/install-salt
    - requirements: /usr/local/lib/salt/requirements.txt
    - require:
      - apt_package: Ensure what Salt is installed with is there
      - file: Ensure the locked list of Salt's packages is there
      - file: Ensure the installer is there

Ensure a bare salt-call works from any directory:
  file.managed:
    - name: /etc/salt/minion.d/{{ minion.configuration }}.conf
    - source: salt://minion/files/minion.conf
    - makedirs: True

Ensure the droplet knows its own id:
  file.managed:
    - name: /etc/salt/minion_id
    - contents: {{ grains.id }}
    - contents_newline: False

# Salt's cache would win over the tree's modules (see autoload_dynamic_modules in the configuration).
Ensure no copies of the tree's modules are left in Salt's cache:
  file.directory:
    - name: /var/run/salt/cache/extmods
    - makedirs: True
    - clean: True
