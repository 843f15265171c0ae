"""Speeds that nothing measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from posebench.results.speed import BatchSpeed, Conditions, Latency, Memory, Parity, Speed, measured

CONDITIONS = Conditions(
    processor="A processor",
    cores=2,
    device="cpu",
    threads=2,
    lanes=2,
    workers=0,
    batch_size=8,
    clock_mhz=(2000.0, 3000.0),
    load_average=0.5,
    other_cores=0.02,
    limits={"fp32": 128.0, "bf16": 360.0},
)
SPEED = Speed(
    latency=Latency(measured([10.0, 10.1, 10.2, 10.1, 10.0]), 12.0, None, 50),
    latency_with_pixels=Latency(measured([14.0, 14.1, 14.2, 14.1, 14.0]), 15.0, 16.0, 500),
    batches=(
        BatchSpeed(1, measured([100.0, 101.0, 102.0, 101.0, 100.0])),
        BatchSpeed(8, measured([200.0, 201.0, 202.0, 201.0, 200.0])),
        BatchSpeed(32, None, "the file was exported for 8 crops"),
    ),
    without_network=measured([500.0, 501.0, 502.0, 501.0, 500.0]),
    end_to_end=measured([150.0, 151.0, 152.0, 151.0, 150.0]),
    memory=Memory(300_000_000),
    conditions=CONDITIONS,
    share_of_limit=0.25,
    parity=Parity(1e-5, 1e-6, 0.0, 0.0),
)


def speed(end_to_end: Sequence[float] = (), **conditions: object) -> Speed:
    """Return `SPEED` with other repeats end to end, or under other conditions."""
    changed = replace(SPEED, conditions=replace(CONDITIONS, **conditions))  # type: ignore[arg-type]
    return replace(changed, end_to_end=measured(end_to_end)) if end_to_end else changed
