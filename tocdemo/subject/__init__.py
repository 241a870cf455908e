"""What is under study: the backend's sources, the faults that are put into them, the learner's workspace."""
