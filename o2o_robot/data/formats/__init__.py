"""Readers of other people's dataset formats."""
