include:
  - marketplace.gate
  - marketplace.absent.stopped

# Behind everything that it kept others from. SSH is let in before and after.
Ensure the firewall is out of force:
  nft_table.absent:
    - name: {{ pillar.firewall.get("table", "host") }}
    - require:
      - sls: marketplace.absent.stopped

Ensure the containers' isolation is out of force:
  nft_table.absent:
    - name: isolation
    - family: bridge
    - require:
      - sls: marketplace.absent.stopped

Ensure the firewall is not loaded at boot:
  service.dead:
    - name: firewall
    - enable: False
    - require:
      - nft_table: Ensure the firewall is out of force

Ensure the containers' isolation is not loaded at boot:
  service.dead:
    - name: marketplace-isolation
    - enable: False
    - require:
      - nft_table: Ensure the containers' isolation is out of force

Ensure the packet filter's own unit is its package's again:
  service.unmasked:
    - name: nftables
    - require:
      - service: Ensure the firewall is not loaded at boot

{% if salt["service.available"]("unattended-upgrades") %}
# It may be one that was here before, and then stays; one that is purged behind this is there no more when a removal
# that was cut off is taken up again.
Ensure the updater's helper starts at boot again:
  service.enabled:
    - name: unattended-upgrades
    - require:
      - sls: marketplace.absent.stopped
{% endif %}

Ensure the swap file is gone:
  swap_file.absent:
    - name: {{ pillar.swap.get("file", "/var/swapfile") }}
    - require:
      - sls: marketplace.absent.stopped

{% for namespace in pillar.logs.namespaces %}
Ensure the journal of {{ namespace }} takes no more messages:
  service.dead:
    - names: ["systemd-journald@{{ namespace }}.socket", "systemd-journald@{{ namespace }}.service"]
    - require:
      - sls: marketplace.absent.stopped
{% endfor %}

# What SSH, Salt and the data's file systems need is not among these.
Ensure packages that came with us are gone:
  apt_package.purged:
    - pkgs:
      - apparmor
      - barman
      - certbot
      - chrony
      - cron
      - curl
      - dbus
      - debsums
      - docker-cli
      - docker-compose
      - docker.io
      - haproxy
      - iproute2
      - jq
      - less
      - libpam-passwdqc
      - logrotate
      - needrestart
      - nftables
      - openssl
      - postgresql-client-17
      - procps
      - prometheus
      - prometheus-alertmanager
      - prometheus-blackbox-exporter
      - prometheus-node-exporter
      - prometheus-postgres-exporter
      - prometheus-redis-exporter
      - rclone
      - tzdata
      - unattended-upgrades
      - zstd
    - before: /var/lib/marketplace/before.json
    - require:
      - service: Ensure the packet filter's own unit is its package's again
      - nft_table: Ensure the containers' isolation is out of force
