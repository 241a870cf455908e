"""Small projects in the shapes of public reports, and a machine that follows advice to the letter."""
