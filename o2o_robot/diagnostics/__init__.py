"""Numbers that show whether learning is healthy."""
