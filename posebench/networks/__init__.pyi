from .costs import count_gflops as count_gflops, count_parameters as count_parameters
from .features import AnswerVectors as AnswerVectors, Features as Features
from .model import Network as Network, PoseModel as PoseModel, build_model as build_model
from .policies import POLICIES as POLICIES, Policy as Policy, apply_policy as apply_policy
from .sizes import InputSize as InputSize
from .spec import (
    BackboneSpec as BackboneSpec,
    CropSpec as CropSpec,
    FlipSpec as FlipSpec,
    HeadSpec as HeadSpec,
    ModelSpec as ModelSpec,
)
