include:
  - marketplace.gate

Ensure PostgreSQL's settings are written:
  file.managed:
    - name: /etc/marketplace/postgres/postgresql.conf
    - source: salt://marketplace/files/postgresql.conf.jinja
    - template: jinja
    - makedirs: True

Ensure PostgreSQL's access rules are written:
  file.managed:
    - name: /etc/marketplace/postgres/pg_hba.conf
    - source: salt://marketplace/files/pg_hba.conf.jinja
    - template: jinja
    - makedirs: True
