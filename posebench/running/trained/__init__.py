"""The trained checkpoints of a suite: told apart by content, trained side by side, kept."""
