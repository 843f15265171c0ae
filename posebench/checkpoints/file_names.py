"""What the name of a checkpoint file tells, where the file itself does not."""

from __future__ import annotations

import re

from posebench.checkpoints.findings import Finding
from posebench.sizes import MAX_SIDE, InputSize

# At least two digits: neither `8xb64` (GPUs and batch) nor `d256x3` (deconvolutions) is a size.
_SIZE = re.compile(r"(?<![0-9a-z])(\d{2,4})x(\d{2,4})(?![0-9a-z])", re.IGNORECASE)


def find_size(name: str) -> tuple[Finding, ...]:
    """Return the trained size that a name such as `pose_hrnet_w32_256x192.pth` tells.

    Names have height before width. Returns nothing where there is no size or more than one.
    """
    sides = {(int(height), int(width)) for height, width in _SIZE.findall(name)}
    sizes = [InputSize(*pair) for pair in sides if 0 < min(pair) <= max(pair) <= MAX_SIDE]
    if len(sizes) != 1:
        return ()
    return (Finding("input_size", str(sizes[0]), "file name"),)
