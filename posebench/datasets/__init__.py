"""Data sets: files to persons and boxes.

Annotation, box and image files come in, a `PoseDataset` and its `Instances` go out, with findings
on whatever looks wrong. `synthetic` renders people from a seed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
