{% from "minion/map.jinja" import minion with context %}

# A droplet that is converged from elsewhere (salt-ssh) keeps the code that has to run while nobody is connected.
# Pillar stays where it is: the droplet has its settings and secrets in files of their own.
{% for directory in ["_modules", "_states", "_utils", "_pillar", "_output", "_returners"] %}
Ensure the tree's {{ directory }} are on the droplet:
  file.recurse:
    - name: {{ minion.tree }}/salt/{{ directory }}
    - source: salt://{{ directory }}
    - clean: True
    - exclude_pat: "*__pycache__*"
{% endfor %}

Ensure the copy names the commit it was made from:
  file.managed:
    - name: {{ minion.tree }}/REVISION
    - contents: {{ pillar.get("settings_gate", {}).get("revision", "unknown") | json }}
