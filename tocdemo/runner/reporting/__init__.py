"""What a run of pytest shows, taken from pytest's own hooks: outcomes, errors, and where they arose."""
