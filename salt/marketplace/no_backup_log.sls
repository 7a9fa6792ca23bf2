# The database is at a provider: whoever received the log of one that was here before no longer does.
include:
  - marketplace.gate

Ensure nobody receives a log of the database:
  backup.not_received:
    - name: postgres

Ensure nobody can log in to the database for its log:
  file.absent:
    - name: /etc/marketplace/delivered/backup
    - require:
      - backup: Ensure nobody receives a log of the database
