"""The example's singleton worker, as tests declare it and look at what it wrote (from version 1.2.0 on)."""

WORKER = '["python3", "-m", "marketplace_bot.worker"]'
"""Build argument WORKER of the example's image."""

# A process that was killed has no end; half a second before its end at the latest it was seen for the last time.
OVERLAPS = """
SELECT count(*) FROM worker_runs AS a JOIN worker_runs AS b ON a.id < b.id
WHERE tstzrange(a.started_at, coalesce(a.ended_at, a.heartbeat_at))
    && tstzrange(b.started_at, coalesce(b.ended_at, b.heartbeat_at))
"""
"""SQL: how many pairs of workers ever ran at the same time."""

AT_WORK = """
SELECT version, release FROM worker_runs WHERE ended_at IS NULL AND heartbeat_at > now() - interval '3 seconds'
"""
"""SQL: version and release of each worker that runs now, as far as one can see."""
