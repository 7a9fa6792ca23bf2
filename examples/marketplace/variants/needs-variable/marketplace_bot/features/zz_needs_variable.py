"""Does not start without PAYMENT_KEY. Build it with ENVIRONMENT_EXTRA=PAYMENT_KEY, so that the image says so."""

import os

from aiogram import Router

router = Router(name="needs-variable")

if not os.environ.get("PAYMENT_KEY"):
    raise RuntimeError("PAYMENT_KEY is not set; for example PAYMENT_KEY=test")
