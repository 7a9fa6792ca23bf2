{% from "kernel/map.jinja" import kernel with context %}

Ensure the console says whose the host is:
  file.managed:
    - name: /etc/issue
    - contents: {{ kernel.banner | json }}

Ensure the network login says whose the host is:
  file.managed:
    - name: /etc/issue.net
    - contents: {{ kernel.banner | json }}

# The provider's console asks for passwords, though SSH does not.
Ensure passwords are tested for their strength:
  apt_package.installed:
    - pkgs: [libpam-passwdqc]

Ensure passwords take long to guess and failed logins are logged:
  keyword_file.says:
    - name: /etc/login.defs
    - values: {{ kernel.login | json }}

Ensure forgotten shells end:
  file.managed:
    - name: /etc/profile.d/idle.sh
    - contents:
      - "# Seconds at an idle prompt. A shell in a shell has it already, and may not set it again."
      - "[ -n \"${TMOUT:-}\" ] || { TMOUT={{ kernel.idle }}; readonly TMOUT; export TMOUT; }"

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
