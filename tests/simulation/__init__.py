"""A droplet in memory, in which the engine can be killed, failed, hung and interfered with between any two effects.

It is beside the real effects (salt/_utils) what tests/contract holds them both to: no kinder than the world.
"""
