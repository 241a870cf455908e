"""What belongs to an event loop: the libraries' makers, what the project makes of them, and what it keeps."""
