"""`InputSize`, written and parsed as people write it: `256x192` = height × width."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from posebench.errors import UsageError

MAX_SIDE = 4096
_PATTERN = re.compile(r"^\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*$")
_FACTOR = re.compile(r"(\d+\.?\d*|\.\d+)x")


@dataclass(frozen=True, order=True)
class InputSize:
    """Size of a network's input crop in pixels."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if not (0 < self.height <= MAX_SIDE and 0 < self.width <= MAX_SIDE):
            raise UsageError(
                f"Input size {self.height}x{self.width} is out of range.",
                hint=f"Both sides must lie between 1 and {MAX_SIDE} pixels (height x width).",
            )

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    @classmethod
    def parse(cls, text: str) -> InputSize:
        """Parse `HxW`.

        Raises `UsageError` if `text` is anything else.
        """
        match = _PATTERN.match(text)
        if match is None:
            raise UsageError(
                f"{text!r} is not an input size.",
                hint="Write height x width in pixels, for example 256x192.",
            )
        return cls(int(match[1]), int(match[2]))

    def scaled(self, factor: float) -> InputSize:
        """Return this size times `factor`, each side rounded to whole pixels."""
        return InputSize(round(self.height * factor), round(self.width * factor))

    @property
    def aspect_ratio(self) -> float:
        """Width over height."""
        return self.width / self.height

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """Read and write a size as its text in YAML and JSON records."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(str(value)),
            serialization=core_schema.to_string_ser_schema(),
        )


def check_size_text(text: str) -> None:
    """Raise `UsageError` unless `text` is `native`, `HxW` or a factor such as `0.5x`."""
    if text == "native" or _FACTOR.fullmatch(text):
        return
    try:
        InputSize.parse(text)
    except UsageError as error:
        raise UsageError(
            error.message,
            hint="Write height x width in pixels, native, or a factor: 256x192,native,0.5x.",
        ) from None


def resolve_size(text: str, trained: InputSize) -> InputSize:
    """Turn `native`, `HxW` or a factor such as `0.5x` into a size.

    Raises `UsageError` if `text` is none of these.
    """
    if text == "native":
        return trained
    if _FACTOR.fullmatch(text):
        return trained.scaled(float(text[:-1]))
    return InputSize.parse(text)
