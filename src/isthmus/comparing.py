"""Runs beside each other on the same held-out samples."""
