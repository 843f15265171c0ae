from .data_check import check_dataset as check_dataset
from .evaluate import ScoreChecks as ScoreChecks
from .evaluate import ScoringOptions as ScoringOptions
from .files import ScoreRequest as ScoreRequest
from .files import score_files as score_files
from .metrics import METRICS as METRICS
from .metrics import Metric as Metric
