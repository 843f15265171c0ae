"""Change a network before it runs: fake quantisation and magnitude pruning.

`suites.transforms` has the words for it.
"""

from posebench.lab.transforms.applying import (
    check_transform,
    with_quantised_activations,
    with_transformed_weights,
)

__all__ = ["check_transform", "with_quantised_activations", "with_transformed_weights"]
