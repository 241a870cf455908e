"""What reads source, and runs nothing of it."""
