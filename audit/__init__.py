"""What other people's tools say of a converged droplet. ``make audit``."""

import sys
from pathlib import Path

# What systemd is told of the units that the tree writes by code.
sys.path.insert(0, str(Path(__file__).parents[1] / "salt/_utils"))
