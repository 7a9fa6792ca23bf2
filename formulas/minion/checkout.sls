{% from "minion/map.jinja" import minion with context %}

# A copy was made over it once, from elsewhere; since then the checkout is converged by itself, and says what it is.
Ensure no copy's commit is named beside the checkout's:
  file.absent:
    - name: {{ minion.tree }}/REVISION
    - onlyif:
      - fun: file.access
        args: [{{ minion.tree }}/.git, f]
