"""Takes 20 seconds to start, then works."""

import time

from aiogram import Router

router = Router(name="slow-start")

time.sleep(20)
