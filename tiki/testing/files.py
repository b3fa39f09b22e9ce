"""Where scenarios stand: in files beside the specs, whose names end in `_test.tiki`."""

from pathlib import Path

from tiki.bundle import read_file
from tiki.diagnostics import Invalid, Report, Source
from tiki.document import TESTS
from tiki.merge import OVERLAYS


def is_test(path: str) -> bool:
    """Whether a file of this name holds scenarios instead of specs."""
    return path.endswith(TESTS)


def read_tests(directory: Path) -> list[Source]:
    """The files of scenarios below a directory, without its `overlays`, in order of path. Raises Invalid."""
    report = Report()
    found = tests_below(directory, report)
    if report.found:
        raise Invalid(report.found)
    return found


def tests_below(directory: Path, report: Report) -> list[Source]:
    """What `read_tests` reads, less the files that cannot be read: these go into `report`."""
    found = []
    for path in sorted(path for path in directory.rglob(f"*{TESTS}") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        if not name.startswith(OVERLAYS) and (source := read_file(path, name, report)) is not None:
            found.append(source)
    return found
