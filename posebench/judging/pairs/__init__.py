"""Pairs of trainings: how cells find each other, what else differs, and what chance does."""
