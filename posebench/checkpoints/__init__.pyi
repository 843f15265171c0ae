from .load_report import LoadReport as LoadReport
from .loading import (
    Checkpoint as Checkpoint,
)
from .loading import (
    Inspection as Inspection,
)
from .loading import (
    inspect_checkpoint as inspect_checkpoint,
)
from .loading import (
    load_checkpoint as load_checkpoint,
)
