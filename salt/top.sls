base:
  '*':
    - role.base
    - role.database
    - role.cache
    - role.edge
    - role.backend
