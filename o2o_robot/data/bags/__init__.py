"""Recordings as bytes: files, message types, fields and pictures."""
