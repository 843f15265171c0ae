"""Networks: a `ModelSpec` to a network.

A spec comes in; a `PoseModel` with MMPose's parameter names goes out, at its trained size or, by a
resize policy, at another. `backbones`, `heads` and `codecs` each hold one family per file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
