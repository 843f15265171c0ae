from .claims import (
    Claim as Claim,
)
from .claims import (
    find_claims as find_claims,
)
from .claims import (
    load_claims as load_claims,
)
from .claims import (
    shipped_claims as shipped_claims,
)
from .recipe import Recipe as Recipe
from .recipe import load_recipe as load_recipe
from .suite import (
    Suite as Suite,
)
from .suite import (
    find_suite as find_suite,
)
from .suite import (
    load_suite as load_suite,
)
from .suite import (
    shipped_suites as shipped_suites,
)
