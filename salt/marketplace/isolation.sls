include:
  - marketplace.gate
  - firewall

Ensure the containers' isolation is written:
  file.managed:
    - name: /etc/marketplace/isolation.nft
    - source: salt://marketplace/files/isolation.nft.jinja
    - template: jinja
    - mode: "0640"
    - makedirs: True
    - check_cmd: /usr/sbin/nft -c -f
    - require:
      - sls: firewall

Ensure the containers' isolation has a unit:
  file.managed:
    - name: /etc/systemd/system/marketplace-isolation.service
    - source: salt://marketplace/files/marketplace-isolation.service

Ensure systemd knows how the containers are isolated:
  systemd_unit.current:
    - name: marketplace-isolation.service
    - restart: False
    - watch:
      - file: Ensure the containers' isolation has a unit

Ensure the containers are isolated at boot:
  systemd_service.enabled:
    - name: marketplace-isolation
    - require:
      - file: Ensure the containers' isolation is written
      - systemd_unit: Ensure systemd knows how the containers are isolated

Ensure the containers are isolated:
  nft_table.loaded:
    - name: isolation
    - family: bridge
    - file: /etc/marketplace/isolation.nft
    - watch:
      - file: Ensure the containers' isolation is written
