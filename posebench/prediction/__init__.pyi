from .execution import Execution as Execution
from .execution import Parallelism as Parallelism
from .execution import Resources as Resources
from .predict import NetworkRun as NetworkRun
from .predict import Outcome as Outcome
from .predictions import Predictions as Predictions
