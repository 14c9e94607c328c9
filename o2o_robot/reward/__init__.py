"""Who says that the task is done: a classifier that learns from frames, plain rules, a person; and where they differ."""
