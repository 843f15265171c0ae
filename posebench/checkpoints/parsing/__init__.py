"""Parsing: bytes to plain values and tensors, by interpreters that cannot call anything."""
