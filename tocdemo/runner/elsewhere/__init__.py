"""Runs in another Python: that of a project's own virtual environment, with its own packages and plugins."""
