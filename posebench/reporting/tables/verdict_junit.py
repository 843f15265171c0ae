"""Verdicts as JUnit XML, which services of continuous integration read. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from posebench.judging.verdicts import Verdict
from posebench.reporting.escaping import one_line
from posebench.reporting.tables.verdict_table import limits_of, verdict_line


def verdict_junit(verdicts: Sequence[Verdict]) -> str:
    """Return a test case for each claim: a refuted one fails, one without effect is skipped."""
    refuted = sum(verdict.verdict == "refuted" for verdict in verdicts)
    skipped = sum(verdict.effect is None for verdict in verdicts)
    suites = ElementTree.Element("testsuites", name="posebench claims")
    counts = {"tests": len(verdicts), "failures": refuted, "skipped": skipped}
    texts = {name: str(count) for name, count in counts.items()}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "claims", **texts})
    for verdict in verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname="claims", name=verdict.claim.id)
        line = one_line(verdict_line(verdict))
        if verdict.verdict == "refuted":
            failure = ElementTree.SubElement(case, "failure", message=line)
            failure.text = one_line(verdict.claim.statement)
        elif verdict.effect is None:
            ElementTree.SubElement(case, "skipped", message=line)
        out = ElementTree.SubElement(case, "system-out")
        out.text = "\n".join([line, *map(one_line, limits_of([verdict]))])
    ElementTree.indent(suites)
    text: str = ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)
    return text + "\n"
