from .data_check import check_dataset as check_dataset
from .evaluate import ScoreChecks as ScoreChecks, ScoringOptions as ScoringOptions
from .files import ScoreRequest as ScoreRequest, score_files as score_files
from .metrics import METRICS as METRICS, Metric as Metric
