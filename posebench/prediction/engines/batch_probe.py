"""How many crops a batch has on a GPU: as many as pay, found by trying."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import torch

from posebench.errors import first_line
from posebench.networks.policies import CellNetwork
from posebench.prediction.devices import room_for_crops, synchronise
from posebench.prediction.engines.cuda_graphs import forget_graphs
from posebench.prediction.flip import predict_outputs

_log = logging.getLogger(__name__)
BATCH_SIZES = (64, 128, 256, 512)
# A larger batch takes more memory; it has to be so many times as fast.
_PAYS = 1.03
# Seconds of a batch beside which those that it takes to start do not count.
_LONG = 0.1
# Calls of a size before it is timed, in which a CUDA graph is recorded, and calls that are timed.
_WARM_UP, _TIMED = 3, 4


def fastest_batch(rate: Callable[[int], float], sizes: Sequence[int] = BATCH_SIZES) -> int:
    """Return the smallest batch that is about as fast as any, by crops per second.

    `rate` raises `RuntimeError` for a size that memory does not hold; larger ones are not tried.
    """
    rates: dict[int, float] = {}
    for size in sizes:
        try:
            rates[size] = rate(size)
        except RuntimeError as error:
            _log.info("Batches of %d crops do not run: %s", size, first_line(error))
            break
        if size / rates[size] > _LONG:
            break
    fastest = max(rates.values(), default=0.0)
    best = next((size for size, each in rates.items() if each * _PAYS >= fastest), sizes[0])
    tried = ", ".join(f"{size}: {each:.0f}" for size, each in rates.items())
    _log.info("Batches have %d crops; crops/s of the network alone by batch: %s.", best, tried)
    return best


def probed_batch(networks: Sequence[tuple[CellNetwork, bool]], device: torch.device) -> int:
    """Return the batch size for networks that run together, each with or without flip test.

    A network that fails at the smallest size does not count: its cell fails by itself later.
    """
    left = list(networks)
    try:
        # The run needs memory beside the networks, for crops that wait and answers not yet decoded.
        beside = torch.empty(room_for_crops(device) or 0, dtype=torch.uint8, device=device)
    except RuntimeError as error:  # what is free may be in pieces, or another process takes it
        _log.info("Batches have %d crops, untried: %s", BATCH_SIZES[0], first_line(error))
        return BATCH_SIZES[0]

    def rate(size: int) -> float:
        total = 0.0
        for each in tuple(left):
            try:
                total += _seconds(*each, size, device)
            except Exception as error:  # what runtimes raise shares no base class but this
                if size > BATCH_SIZES[0]:
                    raise RuntimeError(first_line(error)) from error
                left.remove(each)
        if not left:
            raise RuntimeError("no network runs.")
        return size / total

    try:
        return fastest_batch(rate)
    finally:
        del beside
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _seconds(network: CellNetwork, flip_test: bool, size: int, device: torch.device) -> float:
    sides = network.input_size.height, network.input_size.width
    crops = torch.zeros((size, 3, *sides), device=device)
    crops = crops.contiguous(memory_format=torch.channels_last)
    start = 0.0
    try:
        with torch.inference_mode():
            for call in range(_WARM_UP + _TIMED):
                if call == _WARM_UP:
                    synchronise(device)
                    start = time.perf_counter()
                predict_outputs(network, crops, flip_test, apart=network.flips_apart)
            synchronise(device)
    finally:
        forget_graphs(network.network)  # the next size needs the memory
    return (time.perf_counter() - start) / _TIMED
