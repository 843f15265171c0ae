"""The house rules that a machine can check, measured on the installed package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import posebench

ROOT = Path(posebench.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 7

# Which units of posebench each unit may import, wherever in the file. A unit is a flat module or
# a folder of siblings; what stands below `cli` may not import what stands above it.
FOUNDATION = {"errors", "sizes", "keypoints", "records", "codecs", "spec"}
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "sizes": {"errors"},
    "records": {"errors"},
    "yaml_records": {"errors", "records"},
    "suite": {"errors", "execution", "records", "sizes", "yaml_records"},
    "keypoints": {"errors", "records"},
    "codecs": {"errors", "sizes", "keypoints"},
    "spec": {"errors", "sizes", "keypoints", "records", "codecs"},
    "geometry": {"errors", "sizes"},
    "crops": {"geometry", "sizes", "spec"},
    "devices": {"errors"},
    "warping": {"crops", "devices", "sizes", "spec"},
    "device_decoding": {"codecs", "devices", "sizes"},
    "hashing": {"errors"},
    "cache": {"errors"},
    "execution": set(),
    "progress": {"errors"},
    "backbones": {*FOUNDATION},
    "grids": {*FOUNDATION},
    "gau": {"spec"},
    "rtmw": {*FOUNDATION, "backbones", "gau", "grids", "output_layers"},
    "heads": {*FOUNDATION, "gau", "grids", "output_layers", "rtmw"},
    "model": {*FOUNDATION, "backbones", "gau", "heads", "rtmw"},
    "flip": {"codecs", "model", "spec"},
    "resizing": {*FOUNDATION, "grids", "heads", "model", "rtmw"},
    "policies": {*FOUNDATION, "backbones", "grids", "model", "resizing"},
    "checkpoints": {*FOUNDATION, "backbones", "grids", "hashing", "model", "zoo"},
    "zoo": {*FOUNDATION, "backbones", "cache", "hashing"},
    "datasets": {"errors", "keypoints", "geometry", "records"},
    "evaluation": {"errors", "keypoints", "datasets"},
    "data_check": {"errors", "keypoints", "datasets", "evaluation"},
    "identity": {"datasets"},
    "raw_outputs": {"errors", "records", "datasets", "hashing", "identity"},
    "prediction_cache": {"errors", "records", "evaluation", "identity"},
    "prediction_parts": {"errors", "evaluation", "prediction_cache"},
    "segments": {
        "crop_batches",
        "datasets",
        "errors",
        "execution",
        "predict",
        "prediction_cache",
        "prediction_parts",
    },
    "predict": {
        *FOUNDATION,
        "crop_batches",
        "datasets",
        "device_decoding",
        "evaluation",
        "execution",
        "flip",
        "geometry",
        "lanes",
        "policies",
        "raw_outputs",
    },
    "speed": set(),
    "timing": {"speed"},
    "machine": set(),
    "results": {"execution", "errors", "records", "sizes", "speed"},
    "workload": {*FOUNDATION, "cache", "datasets", "evaluation", "hashing", "identity", "results"},
    "planning": {
        "engines",
        "execution",
        *FOUNDATION,
        "checkpoints",
        "datasets",
        "identity",
        "model",
        "policies",
        "predict",
        "prediction_cache",
        "raw_outputs",
        "results",
        "workload",
    },
    "runner": {
        "engines",
        "execution",
        "model",
        "passes",
        "policies",
        *FOUNDATION,
        "backbones",
        "checkpoints",
        "crop_batches",
        "evaluation",
        "planning",
        "predict",
        "prediction_cache",
        "prediction_parts",
        "segments",
        "results",
        "workload",
    },
    "table_files": {"errors", "records", "evaluation"},
    "printing": {"errors", "records"},
    "store": {
        "claims",
        "errors",
        "prediction_cache",
        "records",
        "datasets",
        "evaluation",
        "results",
        "suite",
        "table_files",
        "yaml_records",
    },
    "claims": {"errors", "records", "suite", "yaml_records"},
    "output_layers": set(),
    "engines": {
        *FOUNDATION,
        "cache",
        "checkpoints",
        "devices",
        "execution",
        "identity",
        "model",
        "policies",
        "results",
    },
    "crop_batches": {
        "crops",
        "devices",
        "execution",
        "warping",
        "datasets",
        "geometry",
        "sizes",
        "spec",
    },
    "lanes": set(),
    "passes": set(),
    "device_processes": {"errors"},
    "allocator": set(),
    "resources": {"allocator", "devices", "execution", "results"},
    "evidence": {"claims", "evaluation", "records", "results", "store"},
    "verdicts": {"claims", "evaluation"},
    "frames": {"records", "speed", "store"},
    "published_evidence": {"claims", "zoo"},
    "claims_command": {
        "claims",
        "evidence",
        "printing",
        "published_evidence",
        "records",
        "store",
        "tables",
        "verdicts",
    },
    "gates": {"errors"},
    "speed_changes": {"gates", "results", "speed", "store"},
    "compare": {"errors", "evaluation", "evidence", "gates", "speed_changes", "store", "suite"},
    "comparison_formats": {"compare", "gates", "records", "speed_changes", "tables"},
    "comparison_output": {"compare", "comparison_formats", "errors", "gates", "printing"},
    "pivot_slots": {"claims", "results", "speed", "store"},
    "pivot": {"claims", "errors", "evidence", "pivot_slots", "speed", "store"},
    "pivot_formats": {"pivot", "pivot_slots", "records", "tables"},
    "pivot_output": {"pivot", "pivot_formats", "printing"},
    "suite_data": {"datasets", "suite", "workload"},
    "suite_plan": {
        "engines",
        "execution",
        "errors",
        "checkpoints",
        "codecs",
        "datasets",
        "evaluation",
        "evaluation_run",
        "planning",
        "policies",
        "results",
        "runner",
        "sizes",
        "suite",
        "suite_data",
        "workload",
        "zoo",
    },
    "suite_passes": {
        "checkpoints",
        "claims",
        "execution",
        "passes",
        "planning",
        "records",
        "runner",
        "store",
        "suite",
        "suite_plan",
    },
    "suite_devices": {"device_processes", "resources", "store", "suite_passes", "suite_plan"},
    "suite_run": {
        "devices",
        "errors",
        "evaluation",
        "resources",
        "results",
        "runner",
        "store",
        "suite_devices",
        "suite_passes",
        "suite_plan",
    },
    # All of what its `profiles` needs to run networks is loaded there, and only if it does.
    "report": {
        "checkpoints",
        "claims",
        "claims_command",
        "crops",
        "datasets",
        "errors",
        "evaluation",
        "evidence",
        "geometry",
        "keypoints",
        "planning",
        "policies",
        "predict",
        "raw_outputs",
        "records",
        "results",
        "runner",
        "sizes",
        "store",
        "suite",
        "suite_data",
        "suite_plan",
        "tables",
        "verdicts",
        "workload",
    },
    "suite_display": {"results", "store", "suite_passes", "suite_plan", "tables"},
    "suite_command": {
        "execution",
        "resources",
        "claims",
        "claims_command",
        "device_processes",
        "evaluation_run",
        "printing",
        "results",
        "runner",
        "store",
        "suite",
        "suite_display",
        "suite_passes",
        "suite_plan",
        "suite_run",
    },
    "tables": {"errors", "results"},
    "parity": {"errors", "evaluation", "speed"},
    "bench_cell": {
        *FOUNDATION,
        "crop_batches",
        "datasets",
        "device_decoding",
        "devices",
        "evaluation",
        "execution",
        "flip",
        "geometry",
        "lanes",
        "machine",
        "predict",
        "results",
        "speed",
        "timing",
        "workload",
    },
    "bench_process": {
        *FOUNDATION,
        "bench_cell",
        "checkpoints",
        "devices",
        "evaluation",
        "execution",
        "parity",
        "planning",
        "policies",
        "predict",
        "resources",
        "results",
        "runner",
        "store",
        "suite_plan",
        "workload",
    },
    "bench_run": {
        "runner",
        "suite_passes",
        "bench_cell",
        "bench_process",
        "errors",
        "evaluation",
        "execution",
        "planning",
        "progress",
        "resources",
        "results",
        "store",
        "suite",
        "suite_data",
        "suite_plan",
    },
    "bench_tables": {"results", "speed", "tables"},
    "bench_command": {
        "bench_run",
        "bench_tables",
        "evaluation_run",
        "printing",
        "progress",
        "resources",
        "results",
        "runner",
    },
    "figures": {"errors", "records"},
    "result_files": {"errors", "records", "datasets", "results", "store"},
    "plots": {"errors", "sizes", "figures", "result_files", "results"},
    "run_plots": {"errors", "figures", "result_files", "results"},
    "training_plots": {"errors", "datasets", "figures"},
    "listings": {"errors", "backbones", "checkpoints", "data_check", "model", "tables"},
    "evaluation_run": {
        "execution",
        "resources",
        "errors",
        "checkpoints",
        "records",
        "evaluation",
        "passes",
        "planning",
        "plots",
        "printing",
        "progress",
        "results",
        "runner",
        "tables",
        "workload",
        "zoo",
    },
    "scoring": {"errors", "keypoints", "records", "datasets", "evaluation", "hashing", "results"},
    "diagnosing": {"errors", "datasets", "evaluation", "hashing", "scoring"},
    "score_tables": {"evaluation", "scoring", "tables"},
    "diagnosis_tables": {"evaluation", "diagnosing", "score_tables", "tables"},
    "diagnosis_plots": {"evaluation", "diagnosing", "figures"},
    "training": {
        "execution",
        *FOUNDATION,
        "cache",
        "checkpoints",
        "crops",
        "datasets",
        "evaluation",
        "geometry",
        "model",
        "policies",
        "predict",
        "progress",
        "workload",
    },
}
# What sits above everything: it may import every unit, and nothing may import it.
TOP = {"cli", "__main__"}

# At run time these know nothing of torch, so that a table or plot needs none.
WITHOUT_TORCH = (
    "bench_tables",
    "claims",
    "claims_command",
    "cli",
    "compare",
    "comparison_formats",
    "comparison_output",
    "diagnosing",
    "diagnosis_plots",
    "diagnosis_tables",
    "errors",
    "evidence",
    "execution",
    "figures",
    "frames",
    "gates",
    "keypoints",
    "machine",
    "parity",
    "pivot",
    "pivot_formats",
    "pivot_output",
    "pivot_slots",
    "plots",
    "policies",
    "prediction_cache",
    "printing",
    "published_evidence",
    "records",
    "report",
    "result_files",
    "results",
    "run_plots",
    "score_tables",
    "scoring",
    "sizes",
    "spec",
    "speed",
    "speed_changes",
    "store",
    "suite",
    "suite_data",
    "table_files",
    "tables",
    "timing",
    "training_plots",
    "verdicts",
    "yaml_records",
    "zoo",
)
# Frameworks that posebench does without, and libraries that only some units may touch.
FORBIDDEN = (
    "mmcv",
    "mmengine",
    "mmpose",
    "mmpretrain",
    "mmdet",
    "torchvision",
    "timm",
    "transformers",
)
ONLY_IN = {
    "xtcocotools": {"evaluation"},
    "pycocotools": {"evaluation"},
    "onnxruntime": {"checkpoints", "engines"},
    "openvino": {"checkpoints", "engines"},
    "matplotlib": {"figures", "plots", "run_plots", "training_plots"},
    "typer": {"cli"},
    "jinja2": {"report"},
}


IMPORTS = (ast.Import, ast.ImportFrom)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def unit_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that a tree imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_units(file: Path) -> set[str]:
    names = (name.split(".") for name in imported(parsed(file)))
    units = {parts[1] for parts in names if parts[0] == "posebench" and len(parts) > 1}
    return {unit for unit in units if (ROOT / unit).is_dir() or (ROOT / f"{unit}.py").is_file()}


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a caller sees."""
    arguments = function.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_modules_are_short():
    lengths = {place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert len(lengths) > 50
    assert {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_functions_are_short_and_take_few_parameters():
    # A command's options are its parameters, each with its help: `cli` is left out.
    measured = {
        f"{place(file)}: {function.name}": (
            (function.end_lineno or function.lineno) - function.lineno + 1,
            parameters(function),
        )
        for file in FILES
        if unit_of(file) != "cli"
        for function in functions(file)
    }
    assert len(measured) > 300
    assert {
        name: (lines, count)
        for name, (lines, count) in measured.items()
        if lines > MAX_FUNCTION_LINES or count > MAX_PARAMETERS
    } == {}


def test_every_unit_has_a_layer():
    units = {unit_of(file) for file in FILES} - TOP - {"__init__"}
    assert units == set(LAYERS)
    assert set().union(*LAYERS.values()) <= units


def test_imports_go_down():
    upward = {
        place(file): sorted(imported_units(file) - {unit_of(file)} - LAYERS[unit_of(file)])
        for file in FILES
        if unit_of(file) in LAYERS
    }
    assert {name: units for name, units in upward.items() if units} == {}


def left_in_a_cycle(edges: dict[str, set[str]]) -> set[str]:
    """Return the nodes that are in a cycle or depend on one."""
    done: set[str] = set()
    while ready := {node for node in edges if node not in done and edges[node] <= done}:
        done |= ready
    return set(edges) - done


def test_the_layers_have_no_cycle():
    assert left_in_a_cycle(LAYERS) == set()


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_needs_itself_to_load():
    modules = {module_name(file): file for file in FILES}
    edges: dict[str, set[str]] = {}
    for name, file in modules.items():
        # Not those in functions or for type checking: they come later, or never.
        loading = [node for node in parsed(file).body if isinstance(node, IMPORTS)]
        targets = set(imported(ast.Module(loading, [])))
        owners = {target if target in modules else target.rpartition(".")[0] for target in targets}
        # Siblings may name their folder to import one another.
        edges[name] = (owners & set(modules)) - {name, name.rpartition(".")[0]}
    assert left_in_a_cycle(edges) == set()


def test_frameworks_stay_out_and_libraries_in_their_place():
    astray = [
        (place(file), name)
        for file in FILES
        for name in imported(parsed(file))
        if (package := name.partition(".")[0]) in FORBIDDEN
        or unit_of(file) not in ONLY_IN.get(package, {unit_of(file)})
    ]
    assert astray == []


def test_modules_are_named_by_their_subject():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
    assert [place(file) for file in FILES if file.stem in vague] == []


def test_every_module_says_what_it_is():
    silent = [place(file) for file in FILES if not ast.get_docstring(parsed(file))]
    assert [name for name in silent if name != "__main__.py"] == []


def test_classes_compose():
    """Base classes are nn.Module and Protocol, and exceptions only those of errors.py."""
    tree = {node.name for node in parsed(ROOT / "errors.py").body if isinstance(node, ast.ClassDef)}
    allowed = {"nn.Module", "Protocol", *tree}
    derived = {
        (place(file), node.name): {ast.unparse(base) for base in node.bases} - allowed
        for file in FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ClassDef)
    }
    assert {name: bases for name, bases in derived.items() if bases} == {
        ("errors.py", "PosebenchError"): {"Exception"}
    }


def test_nothing_in_a_file_is_executed():
    calls = [
        (place(file), ast.unparse(node))
        for file in FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call)
    ]
    executing = ("eval(", "exec(", "pickle.load", "yaml.load(", "torch.load(", "__import__(")
    loads = [call for call in calls if call[1].startswith(executing)]
    assert [(file, call) for file, call in loads if "weights_only=True" not in call] == []


@pytest.mark.parametrize("unit", WITHOUT_TORCH)
def test_reading_units_load_no_torch(unit):
    code = f"import sys, posebench.{unit}; print(sorted({{'torch', 'pandas'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
