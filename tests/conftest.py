"""What all tests share: hypothesis draws the same examples on every run, so that ten runs are ten times the same test."""

from hypothesis import settings

settings.register_profile("lab", derandomize=True, deadline=None, database=None)
settings.load_profile("lab")
