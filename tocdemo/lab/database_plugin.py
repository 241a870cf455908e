"""A pytest plugin that gives a run its database."""
