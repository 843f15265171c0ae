"""Results as a table over any two sets of fields. No torch."""
