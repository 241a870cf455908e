"""The backend of a small writing tool: books and their tables of contents."""
