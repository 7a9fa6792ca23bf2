"""Load as Telegram makes it: many users at once, each on a keep-alive HTTPS connection of its own, for as long as told.

Two halves. What runs on the neighbour (`generator`, `conversation`, `wire`, `entry`) uses the standard library only
and logs every request to a file of its own, outside the droplet. What runs in the test (`running`, `state`) starts and
stops it, reads that log, and asks the droplet what became of it all; `figures` and `effects` are pure and compare.
"""
