"""`posebench explain`: what it asks of running and judging, and its table."""
