from .arms import Training as Training, trainings_of as trainings_of
from .claims import (
    Claim as Claim,
    find_claims as find_claims,
    load_claims as load_claims,
    shipped_claims as shipped_claims,
)
from .probes import PROBE_NAMES as PROBE_NAMES, ProbeSettings as ProbeSettings
from .recipe import (
    Recipe as Recipe,
    load_recipe as load_recipe,
    recipe_from_mapping as recipe_from_mapping,
)
from .settling import Settled as Settled, settled as settled
from .shipped import find_suite as find_suite, shipped_suites as shipped_suites
from .suite import Suite as Suite, load_suite as load_suite
