# Included by every state of this directory, so that applying one alone is checked like the whole.
Ensure the settings are valid and written:
  settings.written:
    - order: 1
    - failhard: True
