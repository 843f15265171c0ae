"""Results: the record of a cell, and the run directory.

A cell's result is written to files when it is done, and read back for tables and verdicts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
