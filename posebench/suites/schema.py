"""The JSON schema of suite files, for editors: types, choices, and what each field means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from posebench.suites.claims import FIELDS, LABEL
from posebench.suites.collection import SUITES, Collection
from posebench.suites.suite import Suite

_SELECTOR = "Fields of a cell and the value, or list of values, that it may have."
DESCRIPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Suite": {
            "name": "Name of the run directory: letters, digits, '.', '_' and '-'.",
            "description": "What the suite is for, in a line.",
            "checkpoints": "Checkpoints to evaluate: paths, patterns, ids or names, or records.",
            "datasets": "Data sets to evaluate them on.",
            "boxes": "Boxes to crop: gt, or files of detected boxes.",
            "sizes": "Input sizes: native, HxW such as 256x192, or factors such as 0.5x.",
            "policies": "How a checkpoint runs at a size that it was not trained at.",
            "flip": "Flip test: own (as the checkpoint says), true or false.",
            "decoders": "Decoders; the network runs once for all of them.",
            "engines": "What runs the network; own is torch, or an exported file's runtime.",
            "precision": "Precision of the network.",
            "transforms": "What is done to the weights first: none, w4, prune-50 and the like.",
            "corruptions": "What is done to the images first: none, blur-3, noise-5 and the like.",
            "scoring": "What turns predictions into numbers.",
            "batch_size": "Crops per forward pass; by default 8, or as many as pay on a GPU.",
            "claims": "Claims to judge: ids of shipped ones, YAML files, or claims written out.",
            "trained": "Checkpoints that the run trains first.",
            "probes": "Probes to run on every checkpoint and data set.",
            "probing": "How much probes read.",
            "suites": "Of a collection: the suite files that run one after the other.",
        },
        "CheckpointEntry": {
            "file": "A path, a pattern such as weights/*.pth, a zoo id or an embedded name.",
            "name": "Its name in results, in place of the file's own.",
            "labels": "Labels of one's own, such as pair and size, to select and pair by.",
            "spec": "YAML file with what the checkpoint does not say.",
        },
        "DatasetEntry": {
            "name": "synthetic, synthetic-crowd, one of `posebench data ls` such as coco, a folder "
            "or an annotation file.",
            "root": "Folder of a known data set; by default the variable POSEBENCH_DATA.",
            "split": "Part of the data set.",
            "images": "Folder of the images of an annotation file.",
            "keypoints": "A built-in set, such as coco, or a YAML file; else by annotations.",
            "limit": "Only the first images.",
            "category": "A category by id or name, needed where several have keypoints.",
            "area_rule": "Where areas come from: the annotation, or 0.53 of the box.",
            "exif": "Whether images are turned by their EXIF orientation.",
            "allow_resized": "Take resized copies of the images.",
            "record": "One of `posebench data ls`, as which data are read and scored.",
            "label": "What results call it, in place of the name of its folder or file.",
        },
        "BoxesEntry": {
            "file": "gt (ground truth), or a file of detected boxes.",
            "min_score": "Leave out boxes scored below.",
            "nms_threshold": "IoU above which the lower-scored box goes.",
            "max_per_image": "Most boxes of an image.",
            "shift": "How far boxes are moved, x and y, as fractions of their sides.",
            "scale": "By how much boxes are scaled.",
        },
        "ScoringEntry": {
            "rescoring": "Instance score: of the box, of its keypoints, or of both.",
            "keypoint_threshold": "Keypoint scores up to this do not count in rescoring.",
            "nms": "OKS-NMS.",
            "nms_threshold": "OKS above which OKS-NMS acts.",
            "replicates": "Resamples of the images behind intervals; 0 for none.",
            "seed": "Seed of the resamples.",
            "interval": "Kind of the intervals of single numbers.",
            "official": "Score with pycocotools or xtcocotools as well.",
        },
        "Claim": {
            "id": "Its name in tables.",
            "statement": "The claim in a sentence.",
            "treatment": f"The cells that shall do better. {_SELECTOR}",
            "control": f"The cells that they are compared with. {_SELECTOR}",
            "metric": "A number such as AP, runs (1 where a cell can run), or a keypoint's name.",
            "at": f"The cells that count at all. {_SELECTOR}",
            "relative_to": "Each cell counts as its change from the cell of its checkpoint that "
            "has these fields instead.",
            "match_by": "Fields that the cells of a pair share; by default all of the grid that "
            "treatment and control do not fix.",
            "trend": "Compare slopes over log2 of this, per doubling.",
            "direction": "What supports the claim: an effect above the margin, below minus the "
            "margin, or within it to either side.",
            "margin": "In the metric's own scale: 0.01 is one point of AP.",
            "evidence": "What it is judged on: measured results, published figures, or probes.",
            "scope": "What the verdict is about; by default the paradigm where there are three "
            "seeds on either side.",
            "factor": "Settings of the recipe, such as model.head, that may differ between "
            "treatment and control.",
            "source": "Who says so.",
            "caveat": "What a reader has to bear in mind.",
        },
        "TrainedCheckpoints": {
            "base": "Recipe file, relative to the suite or among those that come with posebench.",
            "arms": "Name of each arm, and what it overrides in the recipe by dotted paths; "
            "`labels` and `share` may stand beside.",
            "factor": "The only settings in which arms may differ, as dotted paths.",
            "data": "Data to train on: synthetic, synthetic-crowd, or records.",
            "seeds": "Seeds; each arm is trained with every one.",
            "scale": "The scale to train at, if the command names none.",
            "scales": "How much is trained, by name; over those of the base recipe.",
            "plateau": "Arms that are trained once more for twice the samples.",
            "crossed": "Evaluate every checkpoint on all data instead of on its own.",
        },
        "TrainingDataEntry": {
            "name": "Its name in results; by default the folder's.",
            "folder": "Folder in COCO's layout.",
            "split": "The part to train on.",
            "limit": "Only the first images.",
            "keypoints": "A built-in set or a YAML file.",
            "validation": "The part that curves are scored on.",
            "category": "A category by id or name, needed where several have keypoints.",
            "evaluate": "The part to evaluate on.",
            "set": "Overrides of the recipe for these data, by dotted paths.",
            "scales": "Overrides at single scales.",
        },
        "ProbeSettings": {
            "people": "Most people of a data set that are read.",
            "seed": "Seed of the people, untrained twins, permutations and episodes.",
        },
        "EvaluationPart": {"split": "Part of the data set.", "limit": "Only the first images."},
        "Scale": {
            "set": "Overrides of the recipe, by dotted paths.",
            "images": "Only the first images of each evaluation.",
            "seeds": "Only the first seeds.",
        },
    }
)
_LABELS = f"^{re.escape(LABEL)}"
_SELECTORS = ("treatment", "control", "at", "relative_to")


def suite_schema() -> dict[str, Any]:
    """Return the JSON schema of suites: types, choices and a description of every field.

    It is also that of collections, which have fewer keys.
    """
    from pydantic import TypeAdapter

    schema = TypeAdapter(Suite).json_schema()
    collection = TypeAdapter(Collection).json_schema()["properties"]
    schema["properties"][SUITES] = collection[SUITES]
    schema["anyOf"] = [{"required": [name]} for name in ("checkpoints", "trained", SUITES)]
    schema["if"] = {"required": [SUITES]}
    schema["then"] = {"propertyNames": {"enum": list(collection)}}
    records = {"Suite": schema, **schema["$defs"]}
    for name, record in records.items():
        record["additionalProperties"] = False
        for key, text in DESCRIPTIONS[name].items():
            record["properties"][key]["description"] = text
    for name in _SELECTORS:
        _name_fields(records["Claim"]["properties"][name])
    listed = _array(records["Claim"]["properties"]["match_by"])
    listed["items"] = {"anyOf": [{"enum": [*FIELDS]}, {"pattern": _LABELS, "type": "string"}]}
    return schema


def _name_fields(selector: dict[str, Any]) -> None:
    """Say which keys a selector may have: the fields of cells, and labels."""
    own = next((each for each in selector.get("anyOf", ()) if "type" in each), selector)
    value = own.pop("additionalProperties")
    own["properties"] = dict.fromkeys(FIELDS, value)
    own["patternProperties"] = {_LABELS: value}
    own["additionalProperties"] = False


def _array(field: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in field["anyOf"] if each["type"] == "array")
    return found
