"""Lab: what can be done to a network besides running it.

A recipe comes in, a checkpoint goes out (`training`); a network and people come in, readings go out
(`probes`); a network comes in, the same one with fewer bits or weights goes out (`transforms`).
"""
