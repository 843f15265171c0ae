"""A SLURM of one machine: `sbatch`, `srun`, `sacct` and `scancel`, each by the name it is called.

Tasks of an array run side by side, and leave their exit codes in the folder `FAKE_SLURM`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

_JOB = "4242"


def install(folder: Path) -> Path:
    """Write the commands to a folder, to be put on PATH, and return it."""
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {name} "$@"\n')
        path.chmod(0o755)
    return folder


def sbatch(words: list[str], state: Path) -> None:
    """Start the tasks of an array, which go on when this has ended."""
    text = Path(words[-1]).read_text()
    found = re.search(r"--array=0-(\d+)", text)
    number = str(int(_JOB) + len(list(state.glob("job-*"))))
    (state / f"job-{number}").touch()
    (state / f"script-{len(list(state.glob('job-*')))}").write_text(text)
    tasks = [f"{number}_{index}" for index in range(int(found[1]) + 1)] if found else [number]
    for index, task in enumerate(tasks):
        own = {
            "SLURM_JOB_ID": f"{number}{index}" if found else number, "SLURM_JOB_NUM_NODES": "1",
            "SLURM_JOB_NODELIST": "node7", "SLURM_NODEID": "0", "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0", "SLURM_NTASKS": "1", "FAKE_TASK": task,
        }  # fmt: skip
        if found:
            own |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(index)}
        code = f'sh -c \'bash "$0"; echo $? > "$1"\' {words[-1]} {state}/task-{task}'
        (state / f"task-{task}").touch()
        subprocess.Popen(
            code, shell=True, env={**os.environ, **own}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    print(f"Submitted batch job {number}")


def srun(words: list[str], state: Path) -> None:
    """Run the command behind the options, and print to the file that they name."""
    task, array = os.environ["FAKE_TASK"], os.environ.get("SLURM_ARRAY_JOB_ID", "")
    output = words[words.index("--output") + 1].replace("%A", array)
    output = output.replace("%a", os.environ.get("SLURM_ARRAY_TASK_ID", "")).replace("%j", task)
    path = Path(output.replace("%t", "0"))
    path.parent.mkdir(parents=True, exist_ok=True)
    command = words[next(i for i, word in enumerate(words) if "python" in word) :]
    with path.open("a") as log:
        done = subprocess.run(command, stdout=log, stderr=log, check=False)
    sys.exit(128 - done.returncode if done.returncode < 0 else done.returncode)


def sacct(words: list[str], state: Path) -> None:
    """Print the states of all tasks, or the exit code of one."""
    if "ExitCode" in words:
        code = int((state / f"task-{words[-1]}").read_text() or 0)
        print(f"0:{code - 128}" if code > 128 else f"{code}:0")
        return
    print("JobID|State|NodeList")
    for path in sorted(state.glob("task-*")):
        text = path.read_text().strip()
        word = "RUNNING" if not text else "COMPLETED" if text == "0" else "FAILED"
        print(f"{path.name[5:]}|{word}|node7")


def scancel(words: list[str], state: Path) -> None:
    """Note what is cancelled."""
    (state / "cancelled").write_text(" ".join(words))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    name, *arguments = sys.argv[1:]
    globals()[name](arguments, Path(os.environ["FAKE_SLURM"]))
