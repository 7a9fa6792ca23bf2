{% from "swap/map.jinja" import swap with context %}

{% if swap.size %}
Ensure the swap file is in use:
  swap_file.active:
    - name: {{ swap.file }}
    - size: {{ swap.size }}
{% endif %}
