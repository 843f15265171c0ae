"""Figures of runs, trainings and diagnoses, for files."""
