from .cell import CellResult as CellResult, CheckpointFacts as CheckpointFacts, Protocol as Protocol
from .frames import load_results as load_results
from .numbers import NUMBERS as NUMBERS, Number as Number
from .probe_numbers import PROBE_NUMBERS as PROBE_NUMBERS
from .probes import ProbeRow as ProbeRow, StoredProbe as StoredProbe
from .speed import Speed as Speed
from .store import (
    Run as Run,
    RunRecord as RunRecord,
    StoredCell as StoredCell,
    read_run as read_run,
    write_cell as write_cell,
)
