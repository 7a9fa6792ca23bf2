"""Takes memory at start until it is killed for it."""

from aiogram import Router

router = Router(name="out-of-memory")

BLOCK = 16 * 1024**2
# Where nothing limits it, the machine must survive it.
MOST_BLOCKS = 256

taken = []
for _ in range(MOST_BLOCKS):
    taken.append(b"x" * BLOCK)
raise MemoryError(f"{MOST_BLOCKS * BLOCK} bytes, and nobody stopped it: has the container no memory limit?")
