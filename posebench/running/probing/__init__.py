"""Probes of a suite: each checkpoint is read on each data set, and kept in the run directory."""

from posebench.running.probing.plan import PlannedProbe, plan_probes
from posebench.running.probing.run import pending_probes, run_probes

__all__ = ["PlannedProbe", "pending_probes", "plan_probes", "run_probes"]
