"""The page's persons: those that a pair differs on, closely, and all of them to browse.

Everything but `profiles` loads no torch.
"""
