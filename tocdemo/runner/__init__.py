"""How a suite is run, inside a notebook or in a process of its own, and the value that a run gives."""
