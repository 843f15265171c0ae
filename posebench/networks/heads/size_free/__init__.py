"""SimCC heads without a size-locked layer: they answer with the bins of whatever input they get.

The size of an input is that of its features times their stride, so both of its sides are multiples
of the stride.
"""
