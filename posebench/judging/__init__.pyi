from .changes import Comparison as Comparison
from .comparison import compare_runs as compare_runs
from .contrasts import Contrast as Contrast, contrast_of as contrast_of
from .evidence_kinds import EVIDENCE_KINDS as EVIDENCE_KINDS
from .gates import DEFAULT_GATES as DEFAULT_GATES, Gate as Gate, parse_gate as parse_gate
from .verdicts import (
    Verdict as Verdict,
    judge as judge,
    judge_run as judge_run,
    verdicts_of as verdicts_of,
)
