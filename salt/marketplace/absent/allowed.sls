include:
  - marketplace.gate

Ensure the removal may begin:
  removal.allowed:
    - confirmed: {{ pillar.get("remove", "") | json }}
    - order: 2
    - failhard: True
