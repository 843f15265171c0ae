from .page import ReportRequest as ReportRequest
from .page import write_report as write_report
from .pivot import Pivot as Pivot
from .pivot import PivotRequest as PivotRequest
from .pivot import pivot_runs as pivot_runs
from .progress import progress_bars as progress_bars
from .results_table import print_results as print_results
