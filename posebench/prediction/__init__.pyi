from .execution import Execution as Execution
from .execution import Parallelism as Parallelism
from .execution import Resources as Resources
from .predict import CellPredictions as CellPredictions
from .predict import PreparedCell as PreparedCell
from .predictions import Predictions as Predictions
