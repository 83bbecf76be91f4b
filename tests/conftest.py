"""What holds for every test."""

from hypothesis import settings

# Machines are shared and noisy: how long an example takes says nothing about the code.
settings.register_profile("broker", deadline=None)
settings.load_profile("broker")
