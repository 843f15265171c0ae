from .notebook import EvaluatedRun as EvaluatedRun, Scores as Scores
from .page import ReportRequest as ReportRequest, write_report as write_report
from .progress import progress_bars as progress_bars
from .tables.pivot import Pivot as Pivot, PivotRequest as PivotRequest, pivot_runs as pivot_runs
from .tables.results_table import print_results as print_results
