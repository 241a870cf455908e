"""What a notebook calls: the workspace, the faults, inline runs and their figures."""
