"""What the machine says of itself, read from files in the format of Linux."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posebench.running.bench import machine
from posebench.running.bench.machine import CpuTimes, clock_mhz, cpu_times, other_cores, peak_memory


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CPUS", tmp_path / "cpu")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    return tmp_path


def test_peak_memory_is_the_high_water_mark(files: Path) -> None:
    text = "Name:\tpython\nVmPeak:\t 9000 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n"
    (files / "proc" / "self" / "status").write_text(text)
    assert peak_memory() == 2048 * 1024


def test_clocks_come_from_the_governor_or_the_processor(files: Path) -> None:
    assert clock_mhz() is None
    info = "cpu MHz\t\t: 2500.125\nmodel name : x\ncpu MHz\t\t: 3000.000\n"
    (files / "proc" / "cpuinfo").write_text(info)
    assert clock_mhz() == (2500.125, 3000.0)
    for core, kilohertz in ((0, 1_800_000), (1, 3_600_000)):
        folder = files / "cpu" / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{kilohertz}\n")
    assert clock_mhz() == (1800.0, 3600.0)


def test_work_is_all_but_idle_and_waiting(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_times() is None
    monkeypatch.setattr(os, "sysconf", lambda _name: 100)
    # user nice system idle iowait irq softirq steal guest
    (files / "proc" / "stat").write_text("cpu  100 20 30 5000 600 7 8 35 9 0\ncpu0 1 2 3\n")
    found = cpu_times()
    assert found is not None and found.all == 2.0


def test_what_others_did_is_what_this_process_did_not() -> None:
    before, after = CpuTimes(10.0, 100.0, 7.0), CpuTimes(20.0, 118.0, 15.0)
    assert other_cores(before, after) == pytest.approx(1.0)
    assert other_cores(before, CpuTimes(20.0, 101.0, 15.0)) == 0.0
    assert other_cores(None, after) is None
