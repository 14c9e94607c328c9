"""Contracts of arms and cameras, action geometry, and the Gymnasium environment over them."""
