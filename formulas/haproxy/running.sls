{% from "haproxy/map.jinja" import haproxy with context %}

include:
  - haproxy

Ensure the proxy is configured:
  file.managed:
    - name: /etc/haproxy/haproxy.cfg
    - source: {{ haproxy.config }}
    - template: jinja
    - mode: "0640"
    - group: haproxy
    - check_cmd: /usr/sbin/haproxy -c -q -f
    - require:
      - sls: haproxy

Ensure the proxy's unit is current:
  systemd_unit.current:
    - name: haproxy.service
    - files: [/etc/systemd/system/haproxy.service.d/proxy.conf]
    - watch:
      - file: Ensure the proxy's unit is tuned
    - require:
      - file: Ensure the proxy is configured

Ensure the proxy is running:
  systemd_service.running:
    - name: haproxy
    - enable: True
    - require:
      - file: Ensure the proxy is configured

Ensure the proxy uses its configuration:
  haproxy.current:
    - name: /etc/haproxy/haproxy.cfg
    - files: {{ haproxy.files | json }}
    - watch:
      - file: Ensure the proxy is configured
    - require:
      - systemd_service: Ensure the proxy is running
