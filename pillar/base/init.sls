# yaml-language-server: $schema=../../docs/settings.schema.json
# Defaults for every environment. What isn't here has the default of docs/settings.md.
# Sizes: 512M, 4G (1K is 1024 bytes). Durations: 30s, 5m, or seconds. Versions and tags are texts: write them in quotes.

droplet:
  # The droplet that was bought. At most 80% of memory and disk may be promised to containers (docs/settings.md).
  memory: 4G
  disk: 80G
  cpus: 2

backend:
  limits:
    # One colour; during a release two of them run.
    memory: 512M
    cpus: 0.75
    pids: 256

# Images are pinned by digest; the tag is for people. `make pins` refreshes both and shows the difference.
# How the digests were confirmed: docs/decisions/pinned-images.md.
postgres:
  image: postgres
  tag: "17.11"
  digest: sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f
  limits:
    # shared_buffers and the like follow the memory.
    memory: 1G
    cpus: 0.75
    pids: 256
  # A file system of its own of this size, allocated at once.
  disk: 20G

redis:
  image: redis
  tag: "8.10.1"
  digest: sha256:298e5b3bc566bade82f46ad5511777a4a07a294097ce16ada2f6a42be5239df5
  limits:
    # 45% of it holds data, the rest is for snapshots.
    memory: 384M
    cpus: 0.25
    pids: 64
  disk: 2G
