{% set settings = pillar.settings %}

# By whom services at a provider are known, where that is not one whom the system trusts.
include:
  - marketplace.gate

{% for service in pillar.services.theirs if settings[service].managed.ca != "system" %}
Ensure the authority of {{ service }}'s provider is known:
  file.managed:
    - name: {{ settings[service].authority }}
    - contents: {{ settings[service].managed.ca | json }}
    - makedirs: True
{% endfor %}
