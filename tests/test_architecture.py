"""The house rules that a machine can check, measured on the installed package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rooms import ROOMS

import posebench

ROOT = Path(posebench.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 7
MAX_MODULES = 15

# Pairs that do not import each other, though the order would allow one of them to.
STRANGERS = {
    ("judging", "running"),
    ("suites", "scoring"),
    ("reporting", "lab"),
    ("judging", "lab"),
}
# The only modules that stand outside of a room.
AT_THE_TOP = {"__init__", "__main__", "__version__", "errors"}
# At run time these rooms know nothing of torch, so that a table or plot needs none: but for live
# pictures, which are of networks that run.
WITHOUT_TORCH = (
    "files",
    "datasets",
    "zoo",
    "suites",
    "scoring",
    "results",
    "judging",
    "reporting",
    "cli",
)
WITH_TORCH = {
    "reporting.live",
    "reporting.page.people.profiles",
    "reporting.training_display",
    "cli.planned_claims",
    "cli.run_collection",
    "cli.run_options",
    "cli.run_suite",
    "cli.validate_suite",
}
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
    "xtcocotools": {"scoring"},
    "pycocotools": {"scoring"},
    "onnxruntime": {"checkpoints", "prediction"},
    "openvino": {"checkpoints", "prediction"},
    "matplotlib": {"reporting/figures"},
    "typer": {"cli"},
    "jinja2": {"reporting"},
    "huggingface_hub": {"zoo"},
    "wandb": {"reporting/exports"},
    "mlflow": {"reporting/exports"},
    "submitit": {"running/executors"},
    "ray": {"running/executors"},
    "fsspec": {"files"},
}


IMPORTS = (ast.Import, ast.ImportFrom)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def unit_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def stands_in(file: Path, folders: set[str]) -> bool:
    return any(Path(place(file)).is_relative_to(folder) for folder in folders)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that a tree imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(file: Path) -> set[str]:
    names = (name.split(".") for name in imported(parsed(file)))
    return {parts[1] for parts in names if parts[0] == "posebench" and len(parts) > 1} & {*ROOMS}


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


def test_every_module_stands_in_a_room():
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    # Where posebench is installed, its suites lie in a folder of their own.
    assert folders - {"shipped_suites"} == {*ROOMS}
    assert {path.stem for path in ROOT.glob("*.py")} == AT_THE_TOP


def test_rooms_are_not_crowded():
    folders = {file.parent for file in FILES} - {ROOT}
    counts = {str(f.relative_to(ROOT)): len([*f.glob("[!_]*.py")]) for f in folders}
    crowded = {name: count for name, count in counts.items() if count > MAX_MODULES}
    # One file each, for siblings that can be swapped for one another.
    assert crowded.keys() <= {"cli", "networks/backbones"}


def test_imports_point_down():
    upward = []
    for file in FILES:
        room = unit_of(file)
        if room not in ROOMS:
            continue
        above = {*ROOMS[: ROOMS.index(room)]}
        strangers = {two for one, two in STRANGERS if one == room}
        strangers |= {one for one, two in STRANGERS if two == room}
        upward += [(place(file), name) for name in imported_rooms(file) & (above | strangers)]
    assert upward == []


def left_in_a_cycle(edges: dict[str, set[str]]) -> set[str]:
    """Return the nodes that are in a cycle or depend on one."""
    done: set[str] = set()
    while ready := {node for node in edges if node not in done and edges[node] <= done}:
        done |= ready
    return set(edges) - done


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_needs_itself_to_load():
    modules = {module_name(file): file for file in FILES}
    edges: dict[str, set[str]] = {}
    for name, file in modules.items():
        # Not those in functions or for type checking: they come later, or never.
        loading: list[ast.stmt] = [node for node in parsed(file).body if isinstance(node, IMPORTS)]
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
        or not stands_in(file, ONLY_IN.get(package, {""}))
    ]
    assert astray == []


def test_modules_are_named_by_their_subject():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
    assert [place(file) for file in FILES if file.stem in vague] == []


def test_every_module_says_what_it_is():
    silent = [place(file) for file in FILES if not ast.get_docstring(parsed(file))]
    assert [name for name in silent if name != "__main__.py"] == []


def test_classes_compose():
    """Base classes are nn.Module and those of typing; exceptions are those of errors.py."""
    tree = {node.name for node in parsed(ROOT / "errors.py").body if isinstance(node, ast.ClassDef)}
    allowed = {"nn.Module", "Protocol", "TypedDict", *tree}
    derived = {
        (place(file), node.name): {ast.unparse(base) for base in node.bases} - allowed
        for file in FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ClassDef)
    }
    assert {name: bases for name, bases in derived.items() if bases} == {
        ("errors.py", "PosebenchError"): {"Exception"},
        # Torch offers operations to count to a base class of its own alone.
        ("networks/costs.py", "_Operations"): {"TorchDispatchMode"},
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


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_of_readers_load_no_torch(room):
    modules = [name for file in FILES if (name := module_name(file)).split(".")[1:2] == [room]]
    without = [name for name in modules if name.partition(".")[2] not in WITH_TORCH]
    assert without
    code = (
        f"import sys, {', '.join(without)}; print(sorted({{'torch', 'pandas'}} & {{*sys.modules}}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("room", ROOMS)
def test_faces_load_no_torch_and_offer_what_they_name(room):
    code = (
        f"import sys, posebench.{room} as face\n"
        "print('torch' in sys.modules)\n"
        "for name in getattr(face, '__all__', ()): getattr(face, name)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.stderr) == ("False", "")
