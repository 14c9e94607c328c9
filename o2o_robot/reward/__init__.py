"""Who says that the task is done: a classifier of frames, plain rules, a person; and where they differ."""
