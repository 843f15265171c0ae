"""Probes: what can be read off a network besides its score, each one function in its own file.

A probe is a pure function from a `Subject` and `ProbeSettings` to a `ProbeReading`.
"""

from collections.abc import Callable

from posebench.lab.probes.decay import decay
from posebench.lab.probes.identity import identity
from posebench.lab.probes.keypoint_vectors import keypoint_vectors
from posebench.lab.probes.people import People, load_people
from posebench.lab.probes.position_code import position_code
from posebench.lab.probes.subject import Subject, open_subject
from posebench.lab.probes.tokens import tokens
from posebench.results.probes import ProbeReading
from posebench.suites.probes import ProbeName, ProbeSettings

Probe = Callable[[Subject, ProbeSettings], ProbeReading]

PROBES: dict[ProbeName, Probe] = {
    "identity": identity,
    "decay": decay,
    "position-code": position_code,
    "keypoint-vectors": keypoint_vectors,
    "tokens": tokens,
}

__all__ = [
    "PROBES",
    "People",
    "Probe",
    "ProbeReading",
    "ProbeSettings",
    "Subject",
    "load_people",
    "open_subject",
]
