"""Resets: the arm back at its start between two episodes, by motion the guard judges or by a person, and verified."""
