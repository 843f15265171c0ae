from .changes import Comparison as Comparison
from .comparison import compare_runs as compare_runs
from .contrasts import Contrast as Contrast
from .contrasts import contrast_of as contrast_of
from .evidence_kinds import EVIDENCE_KINDS as EVIDENCE_KINDS
from .gates import DEFAULT_GATES as DEFAULT_GATES
from .gates import Gate as Gate
from .gates import parse_gate as parse_gate
from .verdicts import (
    Verdict as Verdict,
)
from .verdicts import (
    judge as judge,
)
from .verdicts import (
    judge_run as judge_run,
)
from .verdicts import (
    verdicts_of as verdicts_of,
)
