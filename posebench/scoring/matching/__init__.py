"""Matching: who found whom, by OKS, and the AP and AR that follow."""
