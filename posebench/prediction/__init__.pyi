from .execution import Execution as Execution, Parallelism as Parallelism, Resources as Resources
from .predict import NetworkRun as NetworkRun, Outcome as Outcome
from .predictions import Predictions as Predictions
