"""Runs as other tools take them; one file for each form, and `EXPORTS` lists them."""

from posebench.reporting.exports.exports import EXPORTS, ExportRequest, export_run

__all__ = ["EXPORTS", "ExportRequest", "export_run"]
