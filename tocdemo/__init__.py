"""A course in notebooks about one bug, and the small laboratory that runs it."""
