{% from "updates/map.jinja" import updates with context %}

# Not part of a converge: upgrading these restarts them, so somebody asks for it.
Ensure held packages are at their newest:
  apt_package.upgraded:
    - pkgs: {{ updates.held | json }}
