"""Measured facts about a particular robot."""
