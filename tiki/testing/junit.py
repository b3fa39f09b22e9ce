"""Results as JUnit XML, in the form that Jenkins, GitLab, GitHub actions and Azure read: a suite a file, a case a test.

There is no standard; this keeps to what https://github.com/testmoapp/junitxml describes as common to them.
"""

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from tiki.testing.suite import Case


def junit(cases: Sequence[Case]) -> str:
    """An XML document. Cases of one file stand together, in their order."""
    suites = ElementTree.Element("testsuites", _totals("tiki", cases))
    for path, group in groupby(sorted(cases, key=_path), key=_path):
        mine = list(group)
        suite = ElementTree.SubElement(suites, "testsuite", _totals(path, mine))
        for case in mine:
            known = {"classname": case.point, "name": case.name, "file": path, "line": str(case.place.span.line)}
            element = ElementTree.SubElement(suite, "testcase", {**known, "time": f"{case.seconds:.6f}"})
            if case.message:
                first = case.message.partition("\n")[0]
                ElementTree.SubElement(element, "failure", {"message": first, "type": "decided"}).text = case.message
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _path(case: Case) -> str:
    return case.place.path


def _totals(name: str, cases: Sequence[Case]) -> dict[str, str]:
    failed = sum(bool(case.message) for case in cases)
    return {
        "name": name,
        "tests": str(len(cases)),
        "failures": str(failed),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(case.seconds for case in cases):.6f}",
    }
