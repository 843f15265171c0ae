from .plan import SuiteCell as SuiteCell
from .plan import SuitePlan as SuitePlan
from .plan import plan_suite as plan_suite
from .workload import Workload as Workload
from .workload import load_workload as load_workload
