{% from "firewall/map.jinja" import firewall, ssh with context %}

Ensure the packet filter is installed:
  apt_package.installed:
    - pkgs: [nftables, iproute2, procps]

# Not the file that is loaded at boot: these rules have yet to show that they lock nobody out.
Ensure the firewall's rules are written:
  file.managed:
    - name: /etc/firewall.wanted.nft
    - source: salt://firewall/files/firewall.nft.jinja
    - template: jinja
    - mode: "0640"
    - check_cmd: /usr/sbin/nft -c -f
    - context:
        firewall: {{ firewall | json }}
    - require:
      - apt_package: Ensure the packet filter is installed

# Debian's own unit flushes every table when it stops, the engine's too: it must never run.
Ensure the packet filter's own unit is out of the way:
  systemd_service.masked:
    - name: nftables

Ensure the firewall has a unit:
  file.managed:
    - name: /etc/systemd/system/firewall.service
    - source: salt://firewall/files/firewall.service

Ensure systemd knows the firewall's unit:
  systemd_unit.current:
    - name: firewall.service
    - restart: False
    - watch:
      - file: Ensure the firewall has a unit

Ensure the firewall is up before the network at boot:
  systemd_service.enabled:
    - name: firewall
    - require:
      - file: Ensure the firewall has a unit

Ensure the firewall is in force:
  nft_table.loaded:
    - name: {{ firewall.table }}
    - file: /etc/firewall.wanted.nft
    - boot: /etc/firewall.nft
    - ssh: {{ ssh | json }}
    - watch:
      - file: Ensure the firewall's rules are written
