"""What bench shows: numbers, doubts and their cause, conditions."""

from __future__ import annotations

from dataclasses import replace

from small_speed import CONDITIONS, SPEED, speed
from small_store import result

import posebench
from posebench.reporting.printing import text_of
from posebench.reporting.tables.speed_tables import bench_markdown, bench_table
from posebench.results.speed import STABLE_RULE, measured

STABLE = result("heatmap-s", speed=SPEED, instances_per_second=151.0)


def test_a_row_holds_cost_speed_and_ap() -> None:
    header, _, row = bench_markdown([STABLE]).splitlines()[:3]
    names, values = ([part.strip() for part in line.split("|")[1:-1]] for line in (header, row))
    assert dict(zip(names, values, strict=True)) == {
        "checkpoint": "heatmap-s",
        "size": "64x48",
        "policy": "native",
        "engine": "torch",
        "precision": "fp32",
        "flip": "yes",
        "AP": "50.0",
        "params M": "1.23",
        "GFLOPs": "0.047",
        "latency ms p50": "10.10",
        "p90": "12.00",
        "p99": "–",
        "with pixels p50": "14.10",
        "data": "501.0",
        "inst/s": "151.0",
        "% of limit": "25",
        "peak MB": "300",
        "moves px": "1.0e-05",
        "> 0.1 px": "0.00 %",
        "moves AP": "+0.00",
    }


def test_batch_sizes_have_a_table_of_their_own() -> None:
    text = bench_markdown([STABLE])
    assert "| crops/s, batch 1 | crops/s, batch 8 | crops/s, batch 32 |" in text
    assert "| 101.0 | 201.0 | – |" in text
    assert "no crops/s at batch size 32: heatmap-s: the file was exported for 8 crops" in text


def test_a_number_that_spreads_is_not_called_stable_and_the_cause_is_named() -> None:
    wide, few = [60.0, 70.0, 80.0, 90.0, 95.0], [100.0, 100.0]
    busy = replace(STABLE, speed=speed(wide, other_cores=1.25, load_average=3.0))
    text = text_of(bench_table([busy]))
    assert "80.0 (unstable, 25 %)" in text
    cause = "other processes used 1.2 of 2 cores; the load average was 3.0 before"
    assert f"unstable, most likely because {cause}" in text
    text = bench_markdown([replace(STABLE, speed=speed(few))])
    assert "100.0 (unstable, 2 repeats)" in text
    assert "unstable, though other processes used 0.0 of 2 cores" in text
    unknown = replace(STABLE, speed=speed(wide, other_cores=None))
    assert "does not tell what other processes did" in bench_markdown([unknown])
    assert "likely" not in bench_markdown([STABLE])


def test_conditions_and_conventions_are_said() -> None:
    other = replace(
        SPEED, conditions=replace(CONDITIONS, clock_mhz=None, limits={"fp32": 100, "bf16": 361})
    )
    text = bench_markdown([STABLE, replace(STABLE, speed=other)])
    assert (
        "- A processor, 2 cores, device cpu, 2 threads in 2 lanes (in one for latency), 0 "
        "workers, batch size 8; clock 2000–3000 MHz; matrix products reach fp32 100–128, bf16 "
        "360–361 GFLOP/s"
    ) in text
    assert "multiply-adds of convolutions and matrix products counted once" in text
    assert "latencies of 50 calls or more" in text
    assert STABLE_RULE in text
    assert f"posebench {posebench.__version__}, torch " in text


def test_a_cell_without_speed_says_why() -> None:
    text = bench_markdown([result(ap=None), STABLE])
    assert "| failed | – | – | – | – | – | – | – | – | – |" in text
    assert "failed: heatmap-s 64x48: no reason" in text


def test_the_memory_of_an_accelerator_is_the_one_that_counts() -> None:
    memory = replace(SPEED.memory, device=2_000_000_000)
    text = bench_markdown([replace(STABLE, speed=replace(SPEED, memory=memory))])
    assert "| 2000 |" in text
    assert measured([1.0] * 5).doubt is None
