{% set settings = pillar.settings %}

include:
  - marketplace.gate
  - marketplace.secrets
  - volumes
  - docker
  - marketplace.networks
  - marketplace.database.configuration
  - marketplace.cache.configuration

Ensure the data services are described:
  file.serialize:
    - name: /etc/marketplace/data/compose.yaml
    - serializer: yaml
    - serializer_opts:
      - sort_keys: False
    - makedirs: True
    - dataset:
        name: data
        services:
          postgres:
            image: {{ settings.postgres.reference }}
            container_name: postgres
            hostname: postgres
            user: "{{ settings.postgres.user }}"
            command: [postgres, -c, config_file=/etc/postgresql/postgresql.conf]
            environment:
              PGDATA: /var/lib/postgresql/data/17
              POSTGRES_PASSWORD_FILE: /run/secrets/superuser_password
              # The builtin provider sorts alike whatever C library the image has.
              POSTGRES_INITDB_ARGS: >-
                --data-checksums --encoding=UTF8 --locale=C
                --locale-provider=builtin --builtin-locale=C.UTF-8
            networks:
              data: {ipv4_address: {{ settings.postgres.address }}}
            volumes:
              - {type: bind, source: /srv/data/postgres/data, target: /var/lib/postgresql/data, bind: {create_host_path: false}}
              - {type: bind, source: /etc/marketplace/postgres, target: /etc/postgresql, read_only: true, bind: {create_host_path: false}}
              - {type: bind, source: /etc/marketplace/delivered/postgres, target: /run/secrets, read_only: true, bind: {create_host_path: false}}
            tmpfs:
              - /tmp:size=64m,mode=1777,noexec,nosuid,nodev
              - /var/run/postgresql:size=1m,mode=0775,noexec,nosuid,nodev,uid={{ settings.postgres.user.split(":")[0] }},gid={{ settings.postgres.user.split(":")[1] }}
            shm_size: {{ settings.postgres.shm_size }}
            mem_limit: {{ settings.postgres.limits.memory }}
            memswap_limit: {{ settings.postgres.limits.memory }}
            cpus: {{ settings.postgres.limits.cpus }}
            pids_limit: {{ settings.postgres.limits.pids }}
            # No core: it would hold data. How many processes there may be, pids_limit says.
            ulimits: &ulimits {core: 0, nofile: {soft: 16384, hard: 16384}}
            stop_grace_period: {{ settings.postgres.stop_grace }}s
            healthcheck:
              # Over TCP first: while a new cluster is being made only the socket answers, and too early.
              test: [CMD, sh, -c, "pg_isready -q -h 127.0.0.1 && psql -qAtX -U postgres -c 'SELECT 1' >/dev/null"]
              interval: 5s
              timeout: 5s
              retries: 3
              start_period: 600s
              start_interval: 1s
            restart: unless-stopped
            read_only: true
            cap_drop: [ALL]
            security_opt: ["no-new-privileges:true"]
            logging:
              driver: syslog
              options: {syslog-address: "unixgram:///run/systemd/journal.postgres/dev-log", tag: postgres, cache-max-size: 2m, cache-max-file: "2"}
          redis:
            image: {{ settings.redis.reference }}
            container_name: redis
            hostname: redis
            # Redis looks after no children but its own: without this, those of health checks that were killed stay for
            # good as zombies, until no snapshot can be forked any more.
            init: true
            user: "{{ settings.redis.user }}"
            command: [redis-server, /etc/redis/redis.conf]
            networks:
              data: {ipv4_address: {{ settings.redis.address }}}
            volumes:
              - {type: bind, source: /srv/data/redis/data, target: /data, bind: {create_host_path: false}}
              - {type: bind, source: /etc/marketplace/redis, target: /etc/redis, read_only: true, bind: {create_host_path: false}}
              - {type: bind, source: /etc/marketplace/delivered/redis, target: /run/secrets, read_only: true, bind: {create_host_path: false}}
            tmpfs:
              - /tmp:size=16m,mode=1777,noexec,nosuid,nodev
            mem_limit: {{ settings.redis.limits.memory }}
            memswap_limit: {{ settings.redis.limits.memory }}
            cpus: {{ settings.redis.limits.cpus }}
            pids_limit: {{ settings.redis.limits.pids }}
            ulimits: *ulimits
            stop_grace_period: {{ settings.redis.stop_grace }}s
            healthcheck:
              # This user has no password and can do nothing else. Who is asked is certain inside its own container.
              test: [CMD, sh, -c, "redis-cli --tls --insecure -p {{ settings.redis.port }} --no-auth-warning --user {{ settings.redis.users.health }} --pass any ping | grep -qx PONG"]
              interval: 5s
              timeout: 5s
              retries: 3
              start_period: 600s
              start_interval: 1s
            restart: unless-stopped
            read_only: true
            cap_drop: [ALL]
            security_opt: ["no-new-privileges:true"]
            logging:
              driver: syslog
              options: {syslog-address: "unixgram:///run/systemd/journal.redis/dev-log", tag: redis, cache-max-size: 2m, cache-max-file: "2"}
        networks:
          data: {external: true}

Ensure the data services are running:
  compose.running:
    - name: data
    - file: /etc/marketplace/data/compose.yaml
    - read_at_start:
        redis: [/etc/marketplace/redis/redis.conf]
    - holds:
        postgres:
          directory: /srv/data/postgres/data
          file: 17/PG_VERSION
          mark: /var/lib/marketplace/volumes/postgres.initialised
    - images: {postgres: "{{ settings.postgres.reference }}", redis: "{{ settings.redis.reference }}"}
    - versions:
        postgres: {command: [postgres, --version], file: /srv/data/postgres/data/17/PG_VERSION}
    # What it writes at its end it has written before: it is away for a moment less.
    - prepare:
        postgres: [psql, -qX, -U, postgres, -c, CHECKPOINT]
    - allow_restart: {{ pillar.get("allow_restart", False) }}
    - require:
      - sls: marketplace.secrets
      - sls: volumes
      - sls: marketplace.networks
      - sls: marketplace.database.configuration
      - sls: marketplace.cache.configuration
      - file: Ensure the data services are described

Ensure the data services have a unit:
  file.managed:
    - name: /etc/systemd/system/marketplace-data.service
    - source: salt://marketplace/files/marketplace-data.service.jinja
    - template: jinja

Ensure systemd knows the data services' unit:
  systemd_unit.current:
    - name: marketplace-data.service
    - restart: False
    - watch:
      - file: Ensure the data services have a unit

# Started, so that it has something to stop when the droplet goes down.
Ensure the data services start at boot and stop in order:
  service.running:
    - name: marketplace-data
    - enable: True
    - require:
      - compose: Ensure the data services are running
      - file: Ensure the data services have a unit
