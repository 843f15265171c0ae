from .evaluation import RunResults as RunResults, run_results as run_results
from .plan import PlannedCell as PlannedCell, SuitePlan as SuitePlan, plan_suite as plan_suite
from .request import RunRequest as RunRequest
from .trained.train_suite import train_suite as train_suite
from .workload import Workload as Workload, load_workload as load_workload
