"""Scoring: keypoints and annotations to numbers.

Predictions come in; AP, PCK and a table of who matched whom go out, equal to pycocotools and
xtcocotools. `statistics` makes intervals, `diagnosis` says what each kind of error costs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
