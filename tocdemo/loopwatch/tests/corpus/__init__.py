"""Small projects in the shapes of public reports, and a machine that follows to the letter what is advised."""
