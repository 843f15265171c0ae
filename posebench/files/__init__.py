"""Files: bytes to records and back.

Paths and bytes come in, typed records go out: YAML and JSON read with the place of what does not
fit, hashes, the cache, locks, what a number was made with. Knows nothing of poses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
