"""What runs a learner's code for a check, in a process of its own: each module answers one kind of question.

A module has a function `look(folder, notes, ...)`, which notes what it sees. It judges nothing.
"""
