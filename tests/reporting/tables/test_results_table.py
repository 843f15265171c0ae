"""The table: golden text, and what gives way where a terminal is narrow."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from small_run import PROTOCOL, made_up

from posebench.reporting.tables.results_table import columns, results_table
from posebench.reporting.texts import points
from posebench.results.cell import CellResult, OfficialMetrics

OFF_STRIDE = "both sides must be multiples of the stride 16."
LOCKED = "input grid 4x3 and 96+128 bins are fixed by training at 64x48."
RESULTS = [
    made_up("heatmap-s", "64x48", "native", 0.4964),
    made_up("heatmap-s", "128x96", "resample", 0.496),
    made_up("simcc-s", "64x48", "native", 0.401),
    made_up("simcc-s", "128x96", "native", None, "unsupported", f"128x96 under native: {LOCKED}"),
    made_up("simcc-s", "32x24", "native", None, "unsupported", f"32x24 under native: {LOCKED}"),
    made_up("simcc-s", "100x75", "pool", None, "unsupported", f"100x75 under pool: {OFF_STRIDE}"),
    made_up("simcc-m", "32x24", "native", None, "unsupported", f"32x24 under native: {LOCKED}"),
    made_up("broken[best]", None, None, None, "failed", "broken.pth is empty."),
]
GOLDEN = """\
people: 150 images, 339 instances · decoder quarter · scored by posebench, COCO rules · AP 95%: percentile interval, 1000 resamples of images · AP and PCK in points
checkpoint    paradigm  backbone   params M  GFLOPs    size  policy    boxes  flip  status         AP     AP 95%  AP50  AP75  AP(M)  AP(L)    AR  PCK@0.1  inst/s
heatmap-s     heatmap   ResNet-18      1.23   0.047   64x48  native    gt     yes   ok           49.6  47.6–52.6  50.6  51.6      –   53.6  54.6     79.6   248.0
heatmap-s     heatmap   ResNet-18      1.23   0.047  128x96  resample  gt     yes   ok           49.6  47.6–52.6  50.6  51.6      –   53.6  54.6     79.6   248.0
simcc-s       simcc     ResNet-18      1.23   0.047   64x48  native    gt     yes   ok           40.1  38.1–43.1  41.1  42.1      –   44.1  45.1     70.1   248.0
simcc-s       simcc     ResNet-18      1.23       –  128x96  native    gt     yes   unsupported     –          –     –     –      –      –     –        –       –
simcc-s       simcc     ResNet-18      1.23       –   32x24  native    gt     yes   unsupported     –          –     –     –      –      –     –        –       –
simcc-s       simcc     ResNet-18      1.23       –  100x75  pool      gt     yes   unsupported     –          –     –     –      –      –     –        –       –
simcc-m       simcc     ResNet-18      1.23       –   32x24  native    gt     yes   unsupported     –          –     –     –      –      –     –        –       –
broken[best]  –         –                 –       –       –  –         gt     yes   failed          –          –     –     –      –      –     –        –       –
unsupported: simcc-s (128x96 native, 32x24 native), simcc-m (32x24 native): input grid 4x3 and 96+128 bins are fixed by training at 64x48.
unsupported: simcc-s (100x75 pool): both sides must be multiples of the stride 16.
failed: broken[best]: broken.pth is empty.
"""  # noqa: E501
GOLDEN_NARROW = """\
people: 150 images, 339 instances · decoder quarter · boxes gt · flip yes · policy native ·
backbone ResNet-18 · params M 1.23 · GFLOPs 0.047 · status ok · scored by posebench, COCO
rules · AP 95%: percentile interval, 1000 resamples of images · AP and PCK in points
checkpoint  paradigm   size    AP     AP 95%  AP50  AP75  AP(M)  AP(L)    AR  PCK@0.1  inst/s
"""


def rendered(results: list[CellResult], width: int, *, whole_lines: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=whole_lines)
    console.print(results_table(results, width))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def test_golden() -> None:
    assert rendered(RESULTS, 240, whole_lines=True) == GOLDEN


def test_points() -> None:
    assert [points(value) for value in (None, 0.0, 0.49649, 0.4965001, 1.0)] == [
        "–", "0.0", "49.6", "49.7", "100.0",
    ]  # fmt: skip


def test_columns_that_say_the_same_in_every_row_move_to_the_caption() -> None:
    results = [replace(RESULTS[0]), RESULTS[2]]
    lines = rendered(results, 93).splitlines()
    assert lines[:4] == GOLDEN_NARROW.splitlines()
    assert lines[4].split()[:4] == ["heatmap-s", "heatmap", "64x48", "49.6"]
    assert "no room" not in "\n".join(lines)


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 160])
def test_a_narrow_terminal_loses_columns_and_no_text(width: int) -> None:
    text = rendered(RESULTS, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    header = next(index for index, line in enumerate(lines) if line.startswith("checkpoint"))
    assert "AP 95%" in lines[header]
    assert width == 60 or "PCK@0.1" in lines[header]
    rows = lines[header + 1 : header + 1 + len(RESULTS)]
    for row, result in zip(rows, RESULTS, strict=True):
        assert row.startswith(result.checkpoint.name)
        assert result.status in row
        assert str(result.size or "–") in row
    caption = " ".join(lines[:header])
    all_headers = GOLDEN.splitlines()[1].replace("params M", "params_M").split()
    for column in all_headers:
        words = column.replace("_", " ")
        assert (
            (words in lines[header])
            or f"{words} " in caption
            or f"{words}," in caption
            or (f"{words}:" in caption)
        )
    assert ("no room for" in caption) == (width < 160)
    assert " ".join(" ".join(lines[header + 9 :]).split()) == " ".join(
        " ".join(GOLDEN.splitlines()[10:]).split()
    )


def test_decoders_that_differ_have_a_column() -> None:
    facts = replace(RESULTS[0].checkpoint, spec={"codec": {"kind": "heatmap", "decoder": "dark"}})
    results = [
        replace(
            RESULTS[0], checkpoint=facts, protocol=replace(PROTOCOL, decoder=decoder), status="ok"
        )
        for decoder in ("dark", "udp")
    ]
    lines = rendered(results, 240, whole_lines=True).splitlines()
    place = lines[1].index("decoder")
    assert [line[place:].split()[0] for line in lines[2:4]] == ["dark", "udp"]
    assert "decoder" not in lines[0]
    for width in (60, 80):
        assert "decoder" in rendered(results, width).partition("checkpoint")[2]
    locked = [replace(result, status="unsupported", reason="locked") for result in results]
    assert "unsupported: heatmap-s (64x48 native): locked" in rendered(locked, 240)


def test_a_name_longer_than_the_terminal_folds() -> None:
    name = "td-hm_hrnet-w48_dark-8xb32-210e_coco-384x288-39c3c381_20220916-with-a-long-name"
    text = rendered([made_up(name, "64x48", "native", 0.5)], 80)
    first = [line.split(" ")[0] for line in text.splitlines() if line.strip()]
    assert name in "".join(first)
    assert max(map(len, text.splitlines())) <= 80
    assert "50.0" in text


def test_crowdpose_has_its_own_columns() -> None:
    protocol = replace(PROTOCOL, boxes_left_out=("3 cats", "1 dog"))
    crowd = replace(made_up("heatmap-s", "64x48", "native", 0.5), protocol=protocol)
    crowd = replace(crowd, metrics={"AP": 0.5, "AP(easy)": 0.6, "AP(hard)": None})
    text = rendered([crowd], 240, whole_lines=True)
    assert "AP(easy)" in text and "AP(M)" not in text
    assert "60.0" in text
    assert "left out: 3 cats, 1 dog ·" in text


def test_an_interval_stands_under_its_own_number() -> None:
    """Of data with AP and data by distance in one table, none has the other's interval."""
    made = RESULTS[0]
    assert made.intervals is not None
    low, high = {"PCKh@0.5": 0.89}, {"PCKh@0.5": 0.91}
    mpii = replace(
        made,
        metrics={"PCKh@0.5": 0.9, "PCKh@0.1": 0.3, "PCK@0.1": 0.8},
        intervals=replace(made.intervals, low=low, high=high),
    )
    for results in ([made, mpii], [mpii, made]):
        shown = {column.header: column.show for column in columns(results)}
        assert (shown["AP"](mpii), shown["AP 95%"](mpii)) == ("–", "–")
        assert (shown["PCKh@0.5"](mpii), shown["PCKh@0.5 95%"](mpii)) == ("90.0", "89.0–91.0")
        assert (shown["AP 95%"](made), shown["PCKh@0.5 95%"](made)) == ("47.6–52.6", "–")
        assert shown["PCKh@0.1"](mpii) == "30.0"


def test_the_official_numbers_and_the_largest_difference() -> None:
    numbers = {**(RESULTS[0].metrics or {})}
    one = replace(RESULTS[0], official=OfficialMetrics("pycocotools 2.0.11", {**numbers}))
    off = {**numbers, "AR": (numbers["AR"] or 0) + 0.002}
    other = replace(RESULTS[2], metrics=numbers, official=OfficialMetrics("pycocotools", off))
    lost = replace(one, official=OfficialMetrics("pycocotools", {**numbers, "AP": None}))
    lines = rendered([one, other, lost, RESULTS[3]], 240, whole_lines=True).splitlines()
    assert "official: pycocotools 2.0.11, largest difference of any number" in lines[0]
    place = lines[1].index("AP 95%") + len("AP 95%")
    assert [line[place:].split()[:2] for line in lines[2:6]] == [
        ["49.6", "0e+00"], ["49.6", "2e-03"], ["–", "inf"], ["–", "–"],
    ]  # fmt: skip


def test_intervals_of_few_images_are_not_to_be_trusted() -> None:
    few = replace(RESULTS[0], protocol=replace(PROTOCOL, images=29))
    assert "too few images for intervals" in rendered([few], 240)
    assert "too few images" not in rendered([replace(few, intervals=None)], 240)
    assert "95%" not in rendered([replace(few, intervals=None)], 240)


def test_nothing_is_said_of_columns_without_a_value() -> None:
    failed = made_up("net", None, None, None, "failed", "empty")
    caption = rendered([failed], 60).partition("checkpoint")[0]
    assert "–" not in caption
    assert "boxes gt" in " ".join(caption.split())


def test_an_engine_or_precision_that_is_not_the_usual_one_is_named() -> None:
    usual = made_up("net", "64x48", "native", 0.5)
    openvino = replace(usual.protocol, engine="openvino", precision="bf16")
    fast = replace(usual, protocol=openvino)
    assert "engine" not in rendered([usual], 200)
    assert "engine openvino bf16" in rendered([fast], 200).partition("\n")[0]
    header, *rows = rendered([usual, fast], 250).splitlines()[1:]
    assert "engine" in header
    assert ["torch fp32" in rows[0], "openvino bf16" in rows[1]] == [True, True]
