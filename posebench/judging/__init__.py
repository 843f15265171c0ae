"""Judging: results to verdicts.

The cells of a run and the claims of its suite come in, verdicts with intervals go out; two runs
come in, changes and gates go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
