#!/usr/bin/env bash
# Trains, evaluates and judges the lab on a CUDA device for as many minutes as it may have, and goes
# on when it is started again. Suites run one after the other, so that those that are done have their
# verdicts; what a suite prints is written to OUT/log.txt as it comes.
#
#   benchmarks/lab_gpu.sh OUT [--data-root lsp14=FOLDER …]
#
# Variables, and what they are by default:
#   SUITE    lab/all; one suite, such as lab/gau, if the minutes do not suffice for all
#   SCALE    medium: five seeds
#   DEVICE   cuda
#   JOBS     8: trainings that share the device
#   MINUTES  15: then it stops as on Ctrl-C; a training goes on from its last evaluation
#   POSEBENCH  posebench: the command, such as "python -m posebench"
#
# A machine that has torch and OpenCV alone lacks packages that commands need. Without a network,
# bring them along: `pip install --no-deps --target DIR` where there is one, of each package that
# pyproject.toml depends on and that is missing there (filelock, jinja2, lazy-loader, matplotlib,
# orjson, pandas, platformdirs, pycocotools, pydantic, pyyaml, rich, safetensors, typer, and what they
# need), and start this with PYTHONPATH=.:DIR and POSEBENCH="python -m posebench". A rehearsal
# without a GPU: DEVICE=cpu SCALE=tiny JOBS=1 SUITE=lab/gau.
#
# At scale medium all suites together train 304 checkpoints for each data set, 144 million crops. One
# H200 learns 17 000 (one training at a time) to 40 000 crops a second (the most that was measured,
# with larger batches), so that this is one to two and a half hours for each. A quarter of an hour
# trains 30 to 70 checkpoints: one or two small suites. Evaluations come on top.
set -euo pipefail

out=${1:?"usage: benchmarks/lab_gpu.sh OUT [options of posebench run]"}
shift
suite=${SUITE:-lab/all} scale=${SCALE:-medium} device=${DEVICE:-cuda}
jobs=${JOBS:-8} minutes=${MINUTES:-15}
read -r -a posebench <<< "${POSEBENCH:-posebench}"

mkdir -p "$out"
code=0
timeout --signal=INT --kill-after=60 "$((minutes * 60))" \
    "${posebench[@]}" run "$suite" --scale "$scale" --device "$device" --jobs "$jobs" \
    --out "$out" "$@" 2>&1 | tee -a "$out/log.txt" || code=$?
# Verdicts on what there is, also of suites that were done before.
"${posebench[@]}" claims "$out" --json "$out/verdicts.json" > "$out/verdicts.txt" || true
exit "$code"
