"""How things look: html and text of tables, diffs and code. It knows nothing of what it shows."""
