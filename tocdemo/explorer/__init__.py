"""Every order of database commands: what two to four operations of the backend may do to each other."""
