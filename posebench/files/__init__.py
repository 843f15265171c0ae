"""Files: bytes to records and back.

Paths and bytes come in, typed records go out: YAML and JSON with the place of whatever does not
fit, hashes, the cache, locks, and the versions and machine behind a number. Nothing here knows
about poses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
