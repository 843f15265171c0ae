from __future__ import annotations

import pytest
from huggingface_reference import LIMIT, VARIANTS, compare_huggingface


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_full_size_networks_equal_transformers(name: str) -> None:
    pytest.importorskip("transformers")
    assert compare_huggingface(name).raw <= LIMIT
