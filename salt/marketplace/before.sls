{% import_yaml "marketplace/absent/trees.yaml" as trees %}

# Right behind the gate: what states have overwritten, nobody can put back any more.
include:
  - marketplace.gate

Ensure it is known what was here before:
  before.kept:
    - order: 2
    - failhard: True
    - trees: {{ trees.keys() | list | json }}
    - stays: [/etc/marketplace, /etc/salt, /opt/salt, /srv, /usr/local/lib/salt, /var/backups/marketplace, /var/run/salt, /var/lib/marketplace]
