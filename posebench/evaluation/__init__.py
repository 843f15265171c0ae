"""From predictions to numbers: rescoring, OKS-NMS, the official scorers. No torch."""
