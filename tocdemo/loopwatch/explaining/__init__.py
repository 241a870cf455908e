"""Why a test failed across event loops, and what to change: from what was seen live, in words."""
