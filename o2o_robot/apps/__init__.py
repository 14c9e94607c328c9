"""One story a file: what each `o2o <story>` does, top to bottom."""
