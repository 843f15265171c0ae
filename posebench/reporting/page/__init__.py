"""One self-contained HTML page of a run: verdicts, tables, plots, gallery, provenance.

Everything but `profiles` loads no torch. All that a run holds is text from elsewhere: it gets
into the page through the escaping of the templates, of `svg` and of `reporting.figures` only.
"""

from posebench.reporting.page.comparisons import Wish
from posebench.reporting.page.page import ReportRequest, write_report

__all__ = ["ReportRequest", "Wish", "write_report"]
