"""Settings of every test run."""

from hypothesis import settings

# A busy machine is no failure of a property.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
