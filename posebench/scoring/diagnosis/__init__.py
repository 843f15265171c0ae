"""Diagnosis: what each kind of error costs."""
