"""Questions about the suite, each with the runs that answer it and the picture of the answer."""
