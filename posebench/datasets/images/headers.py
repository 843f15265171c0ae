"""Size and EXIF orientation of an image file, from its first bytes if its format allows.

JPEG: ITU-T T.81 B.1; PNG: its chunks IHDR and eXIf; EXIF 2.3 for the orientation. Other formats
are decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from posebench.datasets.images.reading import read_image, read_stored
from posebench.datasets.images.rules import ExifRule

_UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
# Frame headers of JPEG: this range without the tables (C4, CC) and the reserved marker (C8).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_LONGEST_SEGMENT = 1 << 16


@dataclass(frozen=True)
class ImageHeader:
    """Pixels as stored, and the EXIF orientation (1 upright, 2-4 keep the size, 5-8 swap it).

    `bits` are those of a channel.
    """

    width: int
    height: int
    orientation: int = _UPRIGHT
    bits: int = 8


def read_header(path: Path) -> ImageHeader:
    """Return the size and orientation of an image file.

    Raises `DataError` if it is not a readable image.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if start[:2] == b"\xff\xd8":
                stream.seek(2)
                found = _jpeg(stream)
            elif start == b"\x89PNG\r\n\x1a\n":
                found = _png(stream)
            else:
                found = None
    except (OSError, ValueError, struct.error):
        found = None
    if found is not None:
        return found
    image = read_stored(path)
    height, width = image.shape[:2]
    return ImageHeader(width, height, bits=8 * image.itemsize)


def size_as_read(path: Path, header: ImageHeader, exif: ExifRule) -> tuple[int, int]:
    """Return the width and height of the image that `read_image` returns under an EXIF rule."""
    if header.orientation == _UPRIGHT or exif == "ignore":
        return header.width, header.height
    # OpenCV's version decides for which formats it reads an orientation.
    height, width = read_image(path, exif).shape[:2]
    return width, height


def _jpeg(stream: IO[bytes]) -> ImageHeader | None:
    orientation = _UPRIGHT
    while True:
        marker = stream.read(2)
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        if marker[1] == 0xFF:  # a fill byte
            stream.seek(-1, 1)
            continue
        if marker[1] in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if marker[1] in _FRAMES:
            _, height, width = struct.unpack(">BHH", stream.read(5))
            # 0 lines: their number comes later.
            return ImageHeader(width, height, orientation) if width and height else None
        if marker[1] == 0xE1:
            segment = stream.read(length - 2)
            if segment[:6] == b"Exif\0\0":
                orientation = _orientation(segment[6:])
        else:
            stream.seek(length - 2, 1)


def _png(stream: IO[bytes]) -> ImageHeader | None:
    found = None
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IHDR":
            width, height, bits = struct.unpack(">IIB", stream.read(9))
            found = ImageHeader(width, height, bits=bits)
            length -= 9
        elif name == b"eXIf" and found is not None and length < _LONGEST_SEGMENT:
            return replace(found, orientation=_orientation(stream.read(length)))
        elif name == b"IEND":
            break
        stream.seek(length + 4, 1)
    return found


def _orientation(tiff: bytes) -> int:
    """Return the orientation in a TIFF header's first directory, or 1 if it has none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return _UPRIGHT
    try:
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, offset + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG and kind == 3:
                return value if 1 <= value <= 8 else _UPRIGHT
    except struct.error:
        pass
    return _UPRIGHT
