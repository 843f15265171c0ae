"""Running: a suite to cells, cells to results.

A suite comes in, a run directory goes out, cell by cell, so that a stopped run goes on. `executors`
run passes elsewhere, `bench` measures speed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
