"""Follow a folder, and run its tests again whenever a file in it was saved.

Nothing is imported here: the process that runs the tests loads `lifeline`, and shall not wait for the rest.
"""
