include:
  - marketplace.gate
  - firewall
  - marketplace.isolation
  - docker

{% for network in [pillar.settings.network.app, pillar.settings.network.data] %}
Ensure the network {{ network.name }} is present:
  docker_network.present:
    - name: {{ network.name }}
    - bridge: {{ network.bridge }}
    - subnet: {{ network.subnet }}
    - gateway: {{ network.gateway }}
    - internal: {{ network.name == "data" }}
    # Nothing is reachable, or reaches anything, before the firewall is in force.
    - require:
      - sls: firewall
      - sls: marketplace.isolation
      - sls: docker
{% endfor %}
