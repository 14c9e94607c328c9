"""Devices that need the twin: what stands in for a person, and sees what only a simulator knows."""
