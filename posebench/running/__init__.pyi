from .evaluation import RunResults as RunResults
from .evaluation import run_results as run_results
from .plan import PlannedCell as PlannedCell
from .plan import SuitePlan as SuitePlan
from .plan import plan_suite as plan_suite
from .request import RunRequest as RunRequest
from .workload import Workload as Workload
from .workload import load_workload as load_workload
