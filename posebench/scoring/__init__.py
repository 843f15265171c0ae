"""Scoring: keypoints and annotations to numbers.

Predictions come in; AP, equal to pycocotools and xtcocotools, PCK and a per-image table go out.
`statistics` makes intervals, `diagnosis` says what each kind of error costs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
