"""Lab: what can be done to a network besides running it.

A recipe comes in, a checkpoint goes out (`training`); a network comes in, the same one with fewer
bits or fewer weights goes out (`transforms`).
"""
