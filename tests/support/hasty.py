"""The watchdog with waits of seconds, where it has minutes or an hour, and the drop-in that has its unit start it."""

HASTY = """
import sys
sys.path.insert(0, "/srv/deploy/salt/_utils")
import marketplace_survey_rules, marketplace_surveyor, marketplace_watch, marketplace_watch_rules
from marketplace_conditions import Timing
from marketplace_paths import Paths

for rules in (marketplace_survey_rules, marketplace_watch_rules):
    for name, wait in rules.TIMING.items():
        rules.TIMING[name] = Timing(min(wait.after, 10), min(wait.clear, 10))
often = {part: min(seconds, 15) for part, seconds in marketplace_surveyor.EVERY.items()}
marketplace_surveyor.EVERY.update(often | {"updates": 30})
marketplace_survey_rules.UPDATES_WAIT = 20
# A goal that seconds are too much for.
marketplace_watch.goal_of = lambda settings: 99.99
marketplace_watch.run(Paths())
"""
PROGRAM, DROP_IN = (
    "/usr/local/lib/hasty-watch.py",
    "/run/systemd/system/marketplace-watch.service.d/hasty.conf",
)
UNIT = f"[Service]\nExecStart=\nExecStart=/opt/salt/bin/python -B {PROGRAM}\n"
