"""Every error a user can cause, as one tree; `cli/` catches `PosebenchError` once.

PosebenchError
├── UsageError            an option or argument that cannot be used
├── SpecError             a YAML/JSON record that does not fit its schema
├── CheckpointError       a checkpoint that cannot be read or does not fit
│   └── UnsafeCheckpointError   it asks for code to be run
├── UnsupportedSizeError  an input size this checkpoint and policy cannot run at
├── UnsupportedExecutionError  an engine, precision or device that cannot run this network
├── UnsupportedProbeError  a probe that finds nothing to read in this network or data
├── MissingExtraError     a package or program that this machine lacks, and how to install it
├── DataError             annotations, boxes, predictions or images
├── ZooError              a published checkpoint that is not known or cannot be fetched
├── EvaluationError       scoring was asked for something it cannot compute
└── TrainingError         a recipe or a training run
    └── LostStateError    the state of an interrupted training run
"""

from __future__ import annotations

from collections.abc import Iterable


class PosebenchError(Exception):
    """Say what happened, where, and what to do next.

    `message` is one or more sentences; `hint` says what to do next and is shown on a
    line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(PosebenchError):
    """An option or argument cannot be used."""


class SpecError(PosebenchError):
    """A record read from YAML or JSON does not fit its schema."""


class CheckpointError(PosebenchError):
    """A checkpoint cannot be read, recognised or loaded."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint asks for code to be run."""


class UnsupportedSizeError(PosebenchError):
    """A checkpoint cannot run at this input size under this resize policy."""


class UnsupportedExecutionError(PosebenchError):
    """A network cannot run on this engine, in this precision or on this device."""


class UnsupportedProbeError(PosebenchError):
    """A probe finds nothing to read in this network or these data."""


class MissingExtraError(PosebenchError):
    """What is asked for needs what this machine lacks; the hint says what to install."""

    @classmethod
    def of(cls, what: str, package: str, extra: str) -> MissingExtraError:
        """Return the error that `what` needs a package which one of posebench's extras holds."""
        return cls(
            f"{what} needs {package}, which is not installed.",
            hint=f'Run: pip install "posebench-pose[{extra}]"',
        )


class DataError(PosebenchError):
    """Annotations, boxes, predictions or images cannot be used."""


class ZooError(PosebenchError):
    """A published checkpoint is not known, cannot be fetched or is not what it should be."""


class EvaluationError(PosebenchError):
    """Scoring was asked for something it cannot compute."""


class TrainingError(PosebenchError):
    """A recipe or a training run cannot go on."""


class LostStateError(TrainingError):
    """The state of an interrupted training run is damaged, or that of another recipe."""


def in_one_line(error: Exception) -> str:
    """Return an error and its hint in one line, for a table or a log."""
    return " ".join(str(error).split())


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type's name where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def forget_frames(error: BaseException) -> None:
    """Let go of where an error and those behind it were raised: frames hold what they worked on."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a sentence that names the nearest valid name and lists all of them."""
    import difflib

    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listing = ", ".join(names)
    return f"Did you mean {close[0]!r}? Valid: {listing}." if close else f"Valid: {listing}."
