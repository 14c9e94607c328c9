"""A contract written from what a bag holds."""
