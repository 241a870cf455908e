"""Whether this machine is ready for the course: what was tried, what was seen, and what to do about it."""
