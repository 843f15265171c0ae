"""What `--help` shows besides options: where a command belongs, and two examples of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypedDict

Group = Literal["Run", "Read runs", "Results of any tool", "Checkpoints, data and suites"]
EXAMPLES: Mapping[str, tuple[Group, str, str]] = MappingProxyType(
    {
        "run": (
            "Run",
            "posebench run suites/quickstart.yaml",
            "posebench run resolution --dry-run",
        ),
        "eval": (
            "Run",
            "posebench eval a.pth b.onnx --dataset coco --data-root DATA",
            "posebench eval a.pth --dataset FOLDER --size native,192x144 --policy resample",
        ),
        "bench": (
            "Run",
            "posebench bench a.pth --dataset coco --data-root DATA --limit 200",
            "posebench bench a.pth --engine own,eager --precision fp32,bf16 --parity",
        ),
        "probe": (
            "Run",
            "posebench probe heatmap-l simcc-l --probe tokens,position-code",
            "posebench probe heatmap-l simcc-l --out runs/probes",
        ),
        "train": (
            "Run",
            "posebench train suites/recipes/simcc-s.yaml --out trained",
            "posebench train own.yaml --device cuda --out trained",
        ),
        "merge": (
            "Run",
            "posebench merge runs/part-1 runs/part-2 --out runs/whole",
            "posebench merge parts/* --out runs/whole",
        ),
        "status": (
            "Read runs",
            "posebench status runs/quickstart",
            "posebench status runs/grid",
        ),
        "table": (
            "Read runs",
            "posebench table runs/quickstart --ci",
            "posebench table runs/a runs/b --columns none --metric AP,AR --format md",
        ),
        "claims": (
            "Read runs",
            "posebench claims runs/quickstart",
            "posebench claims runs/quickstart --enforce --junit claims.xml",
        ),
        "compare": (
            "Read runs",
            "posebench compare results/ci candidate",
            'posebench compare results/ci candidate --gate "AP drop 0.3" --github',
        ),
        "plot": (
            "Read runs",
            "posebench plot runs/quickstart --kind resolution --out sizes.svg",
            "posebench plot runs/monday runs/today --kind history --out history.pdf",
        ),
        "report": (
            "Read runs",
            "posebench report runs/quickstart --out report.html",
            "posebench report runs/mine --out mine.html",
        ),
        "export": (
            "Read runs",
            "posebench export runs/quickstart --format model-index --out cards",
            "posebench export runs/quickstart --format wandb --project poses",
        ),
        "score": (
            "Results of any tool",
            "posebench score a.json b.json --ann annotations.json --official",
            "posebench score predictions.json --ann annotations.json --format ultralytics",
        ),
        "diagnose": (
            "Results of any tool",
            "posebench diagnose a.json --ann annotations.json",
            "posebench diagnose a.json b.json --ann annotations.json --plot errors.svg",
        ),
        "explain": (
            "Results of any tool",
            "posebench explain runs/mine mmpose/rtmpose-m_aic+coco_256x192 --out why.svg",
            "posebench explain mine.json theirs.json --ann annotations.json",
        ),
        "inspect": (
            "Checkpoints, data and suites",
            "posebench inspect a.pth",
            "posebench inspect usyd-community/vitpose-base-simple",
        ),
        "convert": (
            "Checkpoints, data and suites",
            "posebench convert a.pth a.safetensors",
            "posebench convert simcc-s simcc-s.safetensors",
        ),
        "suite ls": (
            "Checkpoints, data and suites",
            "posebench suite ls",
            "posebench suite ls | grep lab/",
        ),
        "suite show": (
            "Checkpoints, data and suites",
            "posebench suite show quickstart",
            "posebench suite show quickstart > mine.yaml",
        ),
        "suite validate": (
            "Checkpoints, data and suites",
            "posebench suite validate mine.yaml",
            "posebench suite validate mine.yaml --data",
        ),
        "suite schema": (
            "Checkpoints, data and suites",
            "posebench suite schema > suite.schema.json",
            "posebench suite schema --format md",
        ),
        "data ls": (
            "Checkpoints, data and suites",
            "posebench data ls",
            "posebench data ls | grep NME",
        ),
        "data show": (
            "Checkpoints, data and suites",
            "posebench data show mpii",
            "posebench data show coco-wholebody",
        ),
        "data make synthetic": (
            "Checkpoints, data and suites",
            "posebench data make synthetic --out synthetic",
            "posebench data make synthetic --level crowd --count 50 --out crowd",
        ),
        "data check": (
            "Checkpoints, data and suites",
            "posebench data check FOLDER --boxes detections.json",
            "posebench data check annotations.json --images val2017 --keypoints own.yaml",
        ),
        "data sigmas": (
            "Checkpoints, data and suites",
            "posebench data sigmas anna.json ben.json",
            "posebench data sigmas anna.json ben.json carla.json --out own.yaml",
        ),
        "data overlap": (
            "Checkpoints, data and suites",
            "posebench data overlap train.json val.json",
            "posebench data overlap TRAIN VAL --out overlap.json",
        ),
        "zoo ls": (
            "Checkpoints, data and suites",
            "posebench zoo ls --paradigm simcc --dataset crowdpose",
            "posebench zoo ls --families",
        ),
        "zoo show": (
            "Checkpoints, data and suites",
            "posebench zoo show mmpose/rtmpose-m_coco_256x192",
            "posebench zoo show mmpose/rtmpose-m_coco_256x192 --json",
        ),
        "zoo pull": (
            "Checkpoints, data and suites",
            "posebench zoo pull mmpose/rtmpose-m_coco_256x192",
            "posebench zoo pull mmpose/rtmpose-m_coco_256x192 --dir weights",
        ),
        "zoo verify": (
            "Checkpoints, data and suites",
            "posebench zoo verify a.pth",
            "posebench zoo verify weights/td-hm_res50.pth",
        ),
        "cache info": (
            "Checkpoints, data and suites",
            "posebench cache info",
            "posebench cache info --json",
        ),
        "cache prune": (
            "Checkpoints, data and suites",
            "posebench cache prune --max-size 5GB",
            "posebench cache prune --kind predictions --older-than 30d --dry-run",
        ),
    }
)


class CommandHelp(TypedDict):
    """What a command is registered with."""

    rich_help_panel: str
    epilog: str


def help_of(command: str) -> CommandHelp:
    """Return the group of a command, and the paragraph below its options."""
    return {"rich_help_panel": EXAMPLES[command][0], "epilog": epilog_of(command)}


def epilog_of(command: str) -> str:
    """Return what stands below a command's options."""
    _, *examples = EXAMPLES[command]
    return "\n\n".join(("Examples:", *examples))
