{% from "kernel/map.jinja" import kernel with context %}

Ensure the console says whose the host is:
  file.managed:
    - name: /etc/issue
    - contents: {{ kernel.banner | json }}

Ensure the network login says whose the host is:
  file.managed:
    - name: /etc/issue.net
    - contents: {{ kernel.banner | json }}

Ensure the timetable is root's to read:
  file.managed:
    - name: /etc/crontab
    - mode: "0600"
    - replace: False
    - create: False

Ensure the SSH server's configuration is root's to read:
  file.managed:
    - name: /etc/ssh/sshd_config
    - mode: "0600"
    - replace: False
    - create: False

{% for directory in kernel.private %}
Ensure {{ directory }} is root's to look into:
  file.directory:
    - name: {{ directory }}
    - mode: "0700"
{% endfor %}
