"""Runs on the droplet, with the engine's own modules: makes the ledger as many records long as the argument says."""

import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, "/srv/deploy/salt/_utils")

from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import release_id

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
INVENTED_UNTIL = release_id(LONG_AGO + timedelta(days=365))  # What is younger was really shipped.

count = int(sys.argv[1])
there = Ledger(Paths().ledger)
records = [record for record in there.newest(count)[::-1] if record.release > INVENTED_UNTIL]
made = Ledger(Path(f"{there.directory}.made"))
for number in range(count - len(records)):
    made.append(replace(records[0], release=release_id(LONG_AGO + timedelta(hours=number)), outcome="failed"))
for record in records:
    made.append(record)
shutil.rmtree(there.directory)
made.directory.rename(there.directory)
