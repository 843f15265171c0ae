"""posebench: evaluate and benchmark 2D human-pose checkpoints, heatmap, SimCC and regression.

What a Python program needs most stands here; importing it loads neither torch nor pandas. Mistakes
of a caller are `posebench.PosebenchError`, with the words of the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.__version__ import __version__ as __version__
from posebench.errors import PosebenchError as PosebenchError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from posebench.judging.verdicts import Verdict
    from posebench.prediction.execution import Engine, Precision
    from posebench.prediction.model import Model
    from posebench.reporting.notebook import EvaluatedRun, Scores
    from posebench.results.store import Run
    from posebench.scoring.options import ScoreOptions
    from posebench.suites.fields import EvaluationFields
    from posebench.suites.suite import CheckpointEntry, DatasetEntry

__all__ = ["PosebenchError", "__version__", "evaluate", "load", "load_results", "score", "verdicts"]

PathLike = str | os.PathLike[str]


def load(
    checkpoint: PathLike,
    *,
    spec: PathLike | None = None,
    engine: Engine | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Model:
    """Load a checkpoint to predict with; nothing in its file is executed.

    `checkpoint` is a file or a folder, the name of an embedded checkpoint, the id of a published
    one that was pulled, or one of Hugging Face, which is fetched (extra `hub`); `spec` is a YAML
    file with what it does not say. Raises `CheckpointError` if it is not there or cannot be loaded,
    and `UnsupportedExecutionError` if the engine cannot run it.
    """
    from posebench.prediction.execution import Execution
    from posebench.prediction.model import load_model
    from posebench.zoo import resolve

    spec_file = None if spec is None else Path(spec)
    execution = Execution(engine, precision, device)
    return load_model(resolve(os.fspath(checkpoint)), spec_file, execution)


def evaluate(
    checkpoints: PathLike | Sequence[PathLike | CheckpointEntry | Mapping[str, Any]] = (),
    datasets: PathLike | DatasetEntry | Mapping[str, Any] | Sequence[Any] = "synthetic",
    *,
    out: PathLike | None = None,
    limit: int | None = None,
    spec: PathLike | None = None,
    device: str = "cpu",
    progress: bool = False,
    **fields: Unpack[EvaluationFields],
) -> EvaluatedRun:
    """Evaluate checkpoints, by default the embedded ones, as `posebench eval` does.

    A checkpoint is what `load` takes, or a mapping of a suite's fields, such as
    `{"file": "a.pth", "labels": {"pair": "m"}}`. A data set is a name, a folder or an annotation
    file, or such a mapping: `{"name": "coco", "root": "DATA"}`; only its first `limit` images are
    taken. The other `fields`
    are those of a suite, as lists or single values: boxes, sizes, policies, flip, decoders,
    engines, precision, transforms, corruptions, scoring, batch_size, claims. `out` is the run
    directory, which keeps what it
    has; without it a temporary one is removed when the program ends. Cells that cannot run or fail
    say why in the run. Raises `PosebenchError` for what is not there or no suite can say.
    """
    from posebench.reporting.notebook import evaluated
    from posebench.running.evaluation import EvaluationRequest

    files = [checkpoints] if isinstance(checkpoints, str | os.PathLike) else checkpoints
    request = EvaluationRequest(
        checkpoints=tuple(os.fspath(e) if isinstance(e, os.PathLike) else e for e in files),
        fields={"datasets": datasets, **fields},
        spec=None if spec is None else Path(spec),
        out=None if out is None else Path(out),
        limit=limit,
        device=device,
    )
    return evaluated(request, progress)


def score(*predictions: PathLike, annotations: PathLike, **options: Unpack[ScoreOptions]) -> Scores:
    """Score results files of any tool, as `posebench score` does; the first is the baseline.

    `annotations` is a COCO-format file. Raises `DataError` if a file cannot be scored, and
    `UsageError` for an option that is not known.
    """
    from posebench.reporting.notebook import Scores
    from posebench.scoring.files import score_files
    from posebench.scoring.options import score_request

    files = tuple(map(Path, predictions))
    return Scores(score_files(score_request(files, Path(annotations), options)))


def load_results(*runs: PathLike) -> pd.DataFrame:
    """Return the cells of run directories as a pandas table; see `posebench.results.frames`."""
    from posebench.results import frames

    return frames.load_results(*runs)


def verdicts(run: EvaluatedRun | Run | PathLike) -> tuple[Verdict, ...]:
    """Return the verdicts on a run's claims, as `posebench claims` does.

    Raises `DataError` if there is no run.
    """
    from posebench.judging.verdicts import verdicts_of
    from posebench.reporting.notebook import run_of

    return verdicts_of(run_of(run))
