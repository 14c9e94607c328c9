"""Frames of the twin for the reward classifier, and how well it does on those it never saw."""
