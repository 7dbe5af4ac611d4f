"""Simulators of what no public data show, with the sources of their constants."""
