"""Diagnosis: what kind of error costs what."""
