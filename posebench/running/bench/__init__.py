"""Bench: what a network costs in time and memory, each cell in a process of its own."""
