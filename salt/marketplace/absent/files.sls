{% import_yaml "marketplace/absent/trees.yaml" as trees %}
{% set machine = grains.get("machine_id", "") %}

include:
  - marketplace.gate
  - marketplace.absent.host

# What came with a package goes with it; where it was here before, it stays.
Ensure nothing of ours is left on the disk:
  before.restored:
    - packaged: {{ trees | json }}
    - trees:
        /etc/exporters: ""
        /etc/haproxy/secrets: ""
        /etc/haproxy/services: ""
        /etc/marketplace/data: ""
        /etc/marketplace/delivered: ""
        /etc/marketplace/docker: ""
        /etc/marketplace/edge.json: ""
        /etc/marketplace/isolation.nft: ""
        /etc/marketplace/postgres: ""
        /etc/marketplace/redis: ""
        /etc/marketplace/tls: ""
        /run/marketplace: ""
        {{ pillar.get("docker", {}).get("reserve", {}).get("file", "/var/lib/docker-reserve") }}: ""
        /var/lib/marketplace/acme.json: ""
        /var/lib/marketplace/applied.json: ""
        /var/lib/marketplace/backup.lock: ""
        /var/lib/marketplace/drift.json: ""
        /var/lib/marketplace/drift.lock: ""
        /var/lib/marketplace/inventory-before.json: ""
        /var/lib/marketplace/inventory.json: ""
        /var/lib/marketplace/jobs: ""
        /var/lib/marketplace/jobs.json: ""
        /var/lib/marketplace/jobs.lock: ""
        /var/lib/marketplace/journal: ""
        /var/lib/marketplace/lock: ""
        /var/lib/marketplace/pending.json: ""
        /var/lib/marketplace/rebuild.lock: ""
        /var/lib/marketplace/renewals.json: ""
        /var/lib/marketplace/rotation.lock: ""
        /var/lib/marketplace/ship.lock: ""
        /var/lib/marketplace/spool: ""
        /var/lib/marketplace/watch.json: ""
        /var/lib/marketplace/webhook.json: ""
{%- for namespace in pillar.logs.namespaces if machine %}
        /var/log/journal/{{ machine }}.{{ namespace }}: ""
{%- endfor %}
    - require:
      - sls: marketplace.absent.host

Ensure only secrets are kept that data and backups are read with:
  secret.only:
    - secrets:
      - backup_key
      - backup_storage_secret
      - postgres_app_password
      - postgres_backup_password
      - postgres_monitoring_password
      - postgres_owner_password
      - postgres_superuser_password
    - require:
      - before: Ensure nothing of ours is left on the disk

Ensure the SSH server works without our configuration:
  sshd.current:
    - name: /etc/ssh/sshd_config.d/00-host.conf
    - require:
      - before: Ensure nothing of ours is left on the disk

Ensure the journal works without our configuration:
  systemd_unit.current:
    - name: systemd-journald.service
    - files: [/etc/systemd, /etc/systemd/journald.conf.d]
    - require:
      - before: Ensure nothing of ours is left on the disk

Ensure a container engine that stays works without our configuration:
  systemd_unit.current:
    - name: docker.service
    - files: [/etc/docker, /etc/docker/daemon.json]
    - require:
      - before: Ensure nothing of ours is left on the disk
