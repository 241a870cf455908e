"""What looks at a running process: its event loops, its clients, and the failures of its tests."""
