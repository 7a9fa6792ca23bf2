{% set settings = pillar.settings %}

# Services of this host know each other by certificates of an authority of its own, which nobody outside trusts.
include:
  - marketplace.gate
  - packages

Ensure the services have an authority:
  service_authority.present:
    - name: /etc/marketplace/tls/services
    - require:
      - sls: packages

Ensure the authorities that are trusted are known:
  service_authority.trusted:
    - name: /etc/marketplace/tls/services.pem
    - directory: /etc/marketplace/tls/services
    - require:
      - service_authority: Ensure the services have an authority

{% for service in pillar.services.ours %}
Ensure {{ service }} has a certificate:
  service_authority.certified:
    - name: /etc/marketplace/tls/services/{{ service }}.pem
    - directory: /etc/marketplace/tls/services
    - dns_names: [{{ service }}]
    - addresses: ["{{ settings[service].address }}"]
    - require:
      - service_authority: Ensure the services have an authority
{% endfor %}
