# salt-call state.apply marketplace.absent pillar='{"remove": "MINION-ID"}': docs/removing.md. No role includes it.
include:
  - marketplace.gate
  - marketplace.absent.allowed
  - marketplace.absent.stopped
  - marketplace.absent.host
  - marketplace.absent.files

Ensure it is said what is left:
  removal.told:
    - require:
      - sls: marketplace.absent.files
