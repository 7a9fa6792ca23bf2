"""What the engine takes for granted of its effects, as checks that the simulated and the real ones both have to pass.

Each check is a plain function ``check_...(effects)`` that leaves things as it found them. `make unit` runs them against
the simulated droplet; tests/droplet/test_contract_effects.py against a real one, by ``python -m tests.contract`` in it.
So the simulation is no kinder than the world.
"""
