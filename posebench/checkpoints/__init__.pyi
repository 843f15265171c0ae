from .load_report import LoadReport as LoadReport
from .loading import (
    Checkpoint as Checkpoint,
    Inspection as Inspection,
    inspect_checkpoint as inspect_checkpoint,
    load_checkpoint as load_checkpoint,
)
