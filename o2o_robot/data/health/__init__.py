"""What looks wrong in an episode store, and what to do about it."""
