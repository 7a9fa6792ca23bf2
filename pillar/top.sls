# Defaults for all, then what this environment differs in, then what only this host or operator has (pillar/local,
# which git doesn't know). Later ones win. The environment is the minion id up to its first dash.
base:
  '*':
    - ignore_missing: True
    - base
    - {{ grains['id'].partition('-')[0] }}
    - local
