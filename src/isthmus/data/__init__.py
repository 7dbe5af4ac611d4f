"""Samples: reading, describing, scaling and splitting them.

Import from the modules; this package itself stays empty, so that ``isthmus --help`` is quick.
"""
