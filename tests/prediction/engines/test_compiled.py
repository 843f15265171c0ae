"""`torch.compile`: fixed batches, several threads, and what cannot be compiled.

torch's backend that compiles nothing stands in for its slow one, but in the last test.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from small_run import SIZE, small_model
from torch._dynamo.utils import counters

from posebench.errors import MissingExtraError, UnsupportedExecutionError
from posebench.prediction.engines.compiled import compile_network
from posebench.prediction.engines.torch_engine import TorchNetwork

CROPS = torch.randn(9, 3, 64, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch._dynamo.reset()


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
def test_one_compilation_serves_batches_of_every_size_and_all_threads(
    paradigm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model = small_model(paradigm)
    counters.clear()
    network = compile_network(model, SIZE, batch_size=4)
    assert (network.spec, network.stride, network.fixed_size) == (model.spec, model.stride, SIZE)
    batches = [CROPS[:1], CROPS[:4], CROPS[1:6], CROPS]
    with torch.inference_mode():
        wanted = [model(batch) for batch in batches]
    gaps: list[float] = []

    def lane(index: int) -> None:
        torch.set_num_threads(1)
        outputs = network(batches[index])
        assert [each.shape for each in outputs] == [each.shape for each in wanted[index]]
        pairs = zip(outputs, wanted[index], strict=True)
        gaps.extend(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)

    threads = [threading.Thread(target=lane, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gaps) == sum(map(len, wanted))
    assert max(gaps) < 1e-5
    assert counters["stats"]["unique_graphs"] == 1


def test_networks_of_one_kind_do_not_use_up_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch by itself compiles the same code a few times at most, whatever its weights."""
    if "isolate_recompiles" not in torch.compile.__kwdefaults__:
        pytest.skip("this torch cannot keep compilations apart")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    with torch._dynamo.config.patch(recompile_limit=1):
        for seed in range(2):
            model = small_model("heatmap", seed)
            network = compile_network(model, SIZE, batch_size=1)
            with torch.inference_mode():
                assert torch.allclose(network(CROPS[:1])[0], model(CROPS[:1])[0], atol=1e-6)


def test_a_network_under_autocast_is_compiled_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    cpu, layout = torch.device("cpu"), torch.channels_last
    half = TorchNetwork(small_model("heatmap"), cpu, layout, torch.bfloat16)
    network = compile_network(half, SIZE, batch_size=4)
    with torch.inference_mode():
        assert torch.allclose(network(CROPS[:4])[0], half(CROPS[:4])[0])


def test_what_cannot_be_compiled_is_known_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, crops: Any, **options: Any) -> Any:
        raise RuntimeError("graph break\nand a long story")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with pytest.raises(UnsupportedExecutionError, match=r"code of .* graph break\n") as got:
        compile_network(small_model("heatmap"), SIZE, batch_size=1)
    assert "The engine torch runs everywhere" in str(got.value.hint)
    assert torch.get_num_threads() == 1


def test_what_cannot_be_traced_is_told_from_what_does_not_compile() -> None:
    model = small_model("heatmap")

    def untraceable(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x * 2,) if x.sum() > 0 else (x,)

    model.forward = untraceable  # type: ignore[method-assign]
    with pytest.raises(UnsupportedExecutionError, match="cannot trace this network") as got:
        compile_network(model, SIZE, batch_size=1)
    assert "C++" not in str(got.value) and torch.__version__ in str(got.value)


def test_a_gpu_without_triton_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_triton(graph: Any, crops: Any, **options: Any) -> Any:
        raise RuntimeError("Cannot find a working triton installation.")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=no_triton))
    with pytest.raises(MissingExtraError, match="needs Triton"):
        compile_network(small_model("heatmap"), SIZE, batch_size=1)


def test_a_machine_without_a_compiler_is_told_from_a_network_that_does_not_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_compiler(graph: Any, crops: Any, **options: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nand a long story")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=no_compiler))
    with pytest.raises(MissingExtraError, match=r"C\+\+ compiler found\n") as got:
        compile_network(small_model("heatmap"), SIZE, batch_size=1)
    assert "Install one, such as g++" in str(got.value.hint)
    assert torch.get_num_threads() == 1


# torch warns of its own calls while it compiles.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_it_answers_as_torch_does() -> None:
    model = small_model("simcc")
    try:
        network = compile_network(model, SIZE, batch_size=4)
    except MissingExtraError as error:
        pytest.skip(error.message)
    with torch.inference_mode():
        for one, two in zip(network(CROPS), model(CROPS), strict=True):
            assert float((one - two).abs().max() / two.abs().max()) < 1e-5
