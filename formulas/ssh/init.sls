{% from "ssh/map.jinja" import ssh with context %}

Ensure the SSH server is installed:
  apt_package.installed:
    - pkgs: {{ ssh.packages | json }}

Ensure SSH takes keys only:
  sshd.configured:
    - name: {{ ssh.file }}
    - options: {{ ssh.options | json }}
    - require:
      - apt_package: Ensure the SSH server is installed

Ensure the SSH server uses its configuration:
  sshd.current:
    - name: {{ ssh.file }}
    - port: {{ ssh.port }}
    - watch:
      - sshd: Ensure SSH takes keys only
