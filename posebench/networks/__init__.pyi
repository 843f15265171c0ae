from .costs import count_gflops as count_gflops
from .costs import count_parameters as count_parameters
from .model import Network as Network
from .model import PoseModel as PoseModel
from .model import build_model as build_model
from .policies import POLICIES as POLICIES
from .policies import Policy as Policy
from .policies import apply_policy as apply_policy
from .sizes import InputSize as InputSize
from .spec import (
    BackboneSpec as BackboneSpec,
)
from .spec import (
    CropSpec as CropSpec,
)
from .spec import (
    FlipSpec as FlipSpec,
)
from .spec import (
    HeadSpec as HeadSpec,
)
from .spec import (
    ModelSpec as ModelSpec,
)
