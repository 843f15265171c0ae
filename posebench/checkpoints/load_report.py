"""`LoadReport`: every tensor of a file mapped, dropped by a named rule, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from posebench.errors import CheckpointError

_SHOWN = 5
# BatchNorm reads it only in training, and files written before torch 0.4.1 lack it.
_OPTIONAL_SUFFIX = ".num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """The account of a file's tensors.

    `dropped` lists (rule, names). `missing` are tensors of the network that the file lacks,
    `unexpected` tensors of the file without a place in the network, `mismatched` those of another
    shape.
    """

    mapped: int
    dropped: tuple[tuple[str, tuple[str, ...]], ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


def reconcile(
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    dropped: Iterable[tuple[str, tuple[str, ...]]] = (),
) -> LoadReport:
    """Compare a file's names and shapes with those of the network built for it."""
    both = found.keys() & expected.keys()
    return LoadReport(
        mapped=len(both),
        dropped=tuple((rule, names) for rule, names in dropped if names),
        missing=tuple(name for name in expected if name not in both),
        unexpected=tuple(name for name in found if name not in both),
        mismatched=tuple(
            f"{name} is {_shape(found[name])}, the network's is {_shape(expected[name])}"
            for name in expected
            if name in both and found[name] != expected[name]
        ),
    )


def check_report(report: LoadReport, *, network: str) -> None:
    """Raise `CheckpointError`, with the first offenders, unless every tensor has its place."""
    missing = [name for name in report.missing if not name.endswith(_OPTIONAL_SUFFIX)]
    problems = [
        f"{label}: {_listing(names)}"
        for label, names in (
            ("tensors with no place in it", report.unexpected),
            ("tensors it needs and the file lacks", missing),
            ("tensors of another shape", report.mismatched),
        )
        if names
    ]
    if problems:
        raise CheckpointError(
            f"The file was taken for {network}, but does not fit it. " + "; ".join(problems) + ".",
            hint="posebench inspect shows what was found and why; --spec FILE.yaml overrules it.",
        )


def _listing(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
