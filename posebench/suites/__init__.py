"""Suites: what a user declares.

YAML comes in, records of a grid, its claims and training recipes go out. Nothing runs here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
