from .cell import CellResult as CellResult
from .cell import CheckpointFacts as CheckpointFacts
from .cell import Protocol as Protocol
from .frames import load_results as load_results
from .numbers import NUMBERS as NUMBERS
from .numbers import Number as Number
from .speed import Speed as Speed
from .store import (
    Run as Run,
)
from .store import (
    RunRecord as RunRecord,
)
from .store import (
    StoredCell as StoredCell,
)
from .store import (
    read_run as read_run,
)
from .store import (
    write_cell as write_cell,
)
