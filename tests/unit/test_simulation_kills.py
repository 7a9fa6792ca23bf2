"""Killed, and without power, at every gate of a release, a rollback and a release in maintenance; then resumed.

Nothing is listed by hand: places are made from the step list, gates are counted in a run in which nothing happens.
"""
