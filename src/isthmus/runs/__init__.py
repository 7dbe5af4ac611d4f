"""The runs layer."""
