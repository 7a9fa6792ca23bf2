# The database is at a provider: whoever received the log of one that was here before no longer does.
include:
  - marketplace.gate

Ensure nobody receives a log of the database:
  service.dead:
    - name: barman-receive-wal@postgres
    - enable: False

Ensure nobody can log in to the database for its log:
  file.absent:
    - name: /etc/marketplace/delivered/backup
    - require:
      - service: Ensure nobody receives a log of the database
