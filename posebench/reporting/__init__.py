"""Reporting: results as people read them.

Results and verdicts come in; tables, `figures` and one HTML `page` go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
