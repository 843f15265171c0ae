"""A run in MLflow: each cell is a run there, its protocol the parameters.

`--out` is a folder for its database, `mlflow.db`; without it MLflow's own setting holds,
`MLFLOW_TRACKING_URI`.
"""

from __future__ import annotations

import re

from posebench.errors import MissingExtraError, PosebenchError
from posebench.reporting.exports.cells import ExportedRun, numbers_in_units, settings_of

# What MLflow allows in the names of metrics and parameters; `@` is spelt out.
_FORBIDDEN = re.compile(r"[^\w./ -]+")
_LONGEST_VALUE = 500


def write(exported: ExportedRun) -> list[str]:
    """Log each cell; return the runs' names.

    Raises `MissingExtraError` if MLflow is not installed.
    """
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise MissingExtraError.of("--format mlflow", "mlflow", "mlflow") from None
    # MLflow 3 keeps what it tracks in a database; plain folders are refused.
    place = None
    if exported.out is not None:
        place = f"sqlite:///{exported.folder().resolve() / 'mlflow.db'}"
    lines = []
    try:
        client = MlflowClient(tracking_uri=place)
        known = client.get_experiment_by_name(exported.project)
        experiment = known.experiment_id if known else client.create_experiment(exported.project)
        for cell in exported.cells:
            tags = {"run": exported.name}
            made = client.create_run(experiment, run_name=cell.id, tags=tags).info.run_id
            for name, value in settings_of(cell).items():
                client.log_param(made, _named(name), str(value)[:_LONGEST_VALUE])
            for name, number in numbers_in_units(cell).items():
                client.log_metric(made, _named(name), number)
            client.set_terminated(made)
            lines.append(f"{exported.project}/{cell.id}: {made}")
    except MlflowException as error:
        raise PosebenchError(
            f"MLflow did not take the run: {error}.",
            hint="Name a folder with --out, or a server with MLFLOW_TRACKING_URI.",
        ) from None
    return lines


def _named(name: str) -> str:
    """Return a name that MLflow allows: `PCK@0.1` is `PCK at 0.1`, `AP(M)` is `AP M`."""
    return _FORBIDDEN.sub(" ", name.replace("@", " at ").replace("%", "percent")).strip()
