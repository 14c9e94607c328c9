"""The flow of a session for whoever sits at it: what comes next, the numbers that decide it, and the keys."""
