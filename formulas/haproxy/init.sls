{% from "haproxy/map.jinja" import haproxy with context %}

Ensure the proxy is installed:
  apt_package.installed:
    - pkgs: [haproxy]

Ensure certificates have a private directory:
  file.directory:
    - name: /etc/haproxy/certs
    - mode: "0700"
    - makedirs: True
    - require:
      - apt_package: Ensure the proxy is installed

# The proxy runs in a chroot: the journal's socket has to be in it.
Ensure the proxy's chroot has a place for logging:
  file.directory:
    - name: /var/lib/haproxy/dev
    - require:
      - apt_package: Ensure the proxy is installed

Ensure the proxy's unit is tuned:
  file.managed:
    - name: /etc/systemd/system/haproxy.service.d/proxy.conf
    - source: salt://haproxy/files/proxy.conf.jinja
    - template: jinja
    - makedirs: True
    - context:
        open_files: {{ haproxy.open_files }}
        log_socket: {{ haproxy.log_socket }}
