"""Lab: what can be done to a network besides running it.

A recipe comes in, a checkpoint goes out (`training`).
"""
