"""``python -m tests.support.droplet``."""

import sys

from .cli import main

sys.exit(main())
