"""Parsing: bytes to plain values and tensors, by interpreters that can call nothing."""
