"""Executors: where the passes of a suite run."""
