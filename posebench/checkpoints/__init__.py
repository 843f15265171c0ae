"""Checkpoints: a published file to a network, safely.

The path of a file comes in; a `Checkpoint` (network, spec, and an account of every tensor) goes
out. Nothing in a file is executed. `parsing` reads file formats, `publishers` knows each
publisher's names and configs, `graphs` runs exported networks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
