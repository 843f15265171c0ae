from .execution import Execution as Execution, Parallelism as Parallelism, Resources as Resources
from .model import Model as Model, load_model as load_model
from .predict import NetworkRun as NetworkRun, Outcome as Outcome
from .predictions import Predictions as Predictions
