from .notebook import EvaluatedRun as EvaluatedRun, Scores as Scores
from .page import ReportRequest as ReportRequest, write_report as write_report
from .progress import progress_bars as progress_bars
from .tables.pivot.request import PivotRequest as PivotRequest
from .tables.pivot.table import Pivot as Pivot, pivot_runs as pivot_runs
from .tables.results_table import print_results as print_results
