"""All specs in force: checked as one, compiled for every decision point,
and named by a digest of everything that they depend on."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tiki.diagnostics import Diagnostic, Invalid, Place, Report, Source, Span, errors
from tiki.document import TESTS, Document
from tiki.examples import Example, ExampleResult, run_example
from tiki.findings import BUDGET, find, quick, sound
from tiki.groups import Checked, Group, check_group, groups
from tiki.limits import LARGEST
from tiki.merge import OVERLAYS, Merged, Placed, place
from tiki.program import Program
from tiki.read import read
from tiki.schema import Point


@dataclass(frozen=True, slots=True)
class Bundle:
    """Compiled specs. `programs` has every point;
    `sources` and `overlays` are in order of path and rebuild the same bundle."""

    digest: str
    programs: Mapping[str, Program]
    sources: tuple[Source, ...]
    overlays: tuple[Source, ...]
    warnings: tuple[Diagnostic, ...]
    examples: tuple[Example, ...]
    merged: Mapping[str, Merged]

    @property
    def texts(self) -> dict[str, str]:
        """Path to text of all that the bundle was made of, for the record; see `rebuild`."""
        return {source.path: source.text for source in (*self.sources, *self.overlays)}


def build(sources: Sequence[Source], points: Mapping[str, Point], overlays: Sequence[Source] = ()) -> Bundle:
    """Checks and compiles. An overlay's path begins with `overlays/`; where it does not, that is put before it.

    Raises Invalid with every error that was found.
    """
    base, over = in_order(sources), in_order(_as_overlays(overlays))
    report = Report()
    _, checked = _analyse(base, over, points, report)
    if errors(report.found):
        raise Invalid(errors(report.found))
    for group, one in checked:
        report.take(quick(group, one))
    of = {name: one for _, one in checked for name in one.plans}
    programs = {name: Program(of[name].plans[name]) for name in points}
    merged = {name: of[name].merged[name] for name in points}
    examples = tuple(example for _, one in checked for example in one.examples)
    texts = {source.path: source.text for source in (*base, *over)}
    digest = digest_of(texts, {name: point.version for name, point in points.items()})
    return Bundle(digest, programs, base, over, tuple(report.found), examples, merged)


def digest_of(texts: Mapping[str, str], versions: Mapping[str, int]) -> str:
    """What names a bundle of these texts for points of these versions: SHA-256 over paths, texts and versions, as
    32 hex digits."""
    in_order = sorted(texts.items(), key=lambda item: (item[0].startswith(OVERLAYS), item[0]))
    return hashlib.sha256(json.dumps([in_order, sorted(versions.items())]).encode()).hexdigest()[:32]


def rebuild(texts: Mapping[str, str], points: Mapping[str, Point]) -> Bundle:
    """The bundle of recorded texts (`Bundle.texts`)."""
    sources = [Source(path, text) for path, text in texts.items()]
    overlays = [source for source in sources if source.path.startswith(OVERLAYS)]
    return build([source for source in sources if source not in overlays], points, overlays)


def check(
    sources: Sequence[Source],
    points: Mapping[str, Point],
    overlays: Sequence[Source] = (),
    *,
    budget: float = BUDGET,
    progress: Callable[[int, int], None] = lambda done, total: None,
    unsettled: Callable[[str], None] = lambda point: None,
) -> list[Diagnostic]:
    """Everything that is wrong or doubtful, in order of place. Never raises for what the texts say.

    budget: seconds for what is proved by a solver, such as rules that never decide. What is not settled by then is not
    reported; 0 leaves the solver out. progress: hears how many points are done, and of how many.
    unsettled: hears of each point about which a question is open.
    """
    report = Report()
    placed, checked = _analyse(in_order(sources), in_order(_as_overlays(overlays)), points, report)
    clean = sound(placed, report.found)
    ends = monotonic() + budget
    done = 0
    for group, one in checked:
        report.take(find(group, one, clean, max(0.0, ends - monotonic()), unsettled))
        done += len(group.points)
        progress(done, len(points))
    return report.in_order()


def load(directory: Path, points: Mapping[str, Point], overlay: Path | None = None) -> Bundle:
    """Builds what `read_directory` finds, with the overlay in the folder `overlay`. Raises Invalid."""
    return build(*_loaded(directory, points, overlay))


def read_directory(directory: Path, prefix: str = "") -> list[Source]:
    """The `.tiki` files below a directory and the Markdown files with `tiki` fences, without its `overlays` and without
    tests (`tiki.testing`). Raises Invalid."""
    report = Report()
    found = specs_below(directory, prefix, report)
    if report.found:
        raise Invalid(report.found)
    return found


def specs_below(directory: Path, prefix: str, report: Report) -> list[Source]:
    """What `read_directory` reads, less the files that cannot be read: these go into `report`."""
    found = []
    paths = [path for pattern in ("*.tiki", "*.md") for path in directory.rglob(pattern) if path.is_file()]
    for path in sorted(paths):
        name = path.relative_to(directory).as_posix()
        if name.startswith(OVERLAYS) or name.endswith(TESTS):
            continue
        source = read_file(path, prefix + name, report)
        if source is not None and (path.suffix == ".tiki" or "tiki" in source.text):
            found.append(source)
    return found


def run_examples(bundle: Bundle) -> list[ExampleResult]:
    """Every example of the bundle, in order.
    Facts without a column are absent, and all count as having held long enough."""
    return [
        run_example(example, bundle.merged[example.point], bundle.programs[example.point])
        for example in bundle.examples
    ]


def _loaded(
    directory: Path, points: Mapping[str, Point], overlay: Path | None
) -> tuple[list[Source], Mapping[str, Point], list[Source]]:
    over = [] if overlay is None else read_directory(overlay, f"{OVERLAYS}{overlay.name}/")
    return read_directory(directory), points, over


def read_file(path: Path, name: str, report: Report) -> Source | None:
    """The text of a file; None, with a diagnostic, where it cannot be read. No more of it is read than may be."""
    line, column, what = 1, 1, f"the file is larger than {LARGEST // 2**20} MiB"
    try:
        with path.open("rb") as file:
            raw = file.read(4 * LARGEST + 1)
        if len(raw) <= 4 * LARGEST:
            return Source(name, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").replace("\r\n", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"the file is not UTF-8 text: byte {error.start} is {raw[error.start]:#04x}"
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
    report.error("TIKI-101", what, Place(name, Span(line, column, line, column), ""))
    return None


def in_order(sources: Iterable[Source]) -> tuple[Source, ...]:
    """In the order in which specs are taken: that of their paths."""
    return tuple(sorted(sources, key=lambda source: source.path))


def _as_overlays(overlays: Sequence[Source]) -> list[Source]:
    return [o if o.path.startswith(OVERLAYS) else Source(OVERLAYS + o.path, o.text) for o in overlays]


def _analyse(
    sources: tuple[Source, ...], overlays: tuple[Source, ...], points: Mapping[str, Point], report: Report
) -> tuple[list[Placed], list[tuple[Group, Checked]]]:
    """Every spec, and every group of points with what its specs come to. What is wrong goes into `report`."""
    misplaced(sources, overlays, report)
    documents = _documents(sources, report)
    placed = place(documents, _documents(overlays, report), points, report)
    checked = [(group, check_group(group)) for group in groups(placed, points)]
    for _, one in checked:
        report.take(one.found)
    return placed, checked


def misplaced(sources: tuple[Source, ...], overlays: tuple[Source, ...], report: Report) -> None:
    """Says where two sources have one path, and where a base stands among the overlays."""
    for before, source in zip((*sources, *overlays), (*sources, *overlays)[1:], strict=False):
        if before.path == source.path:
            report.error("TIKI-109", "two sources have this path", Place(source.path, Span(1, 1, 1, 1), ""))
    for source in sources:
        if source.path.startswith(OVERLAYS):
            report.error("TIKI-109", f"`{OVERLAYS}` is where overlays stand", Place(source.path, Span(1, 1, 1, 1), ""))


def _documents(sources: Iterable[Source], report: Report) -> list[Document]:
    documents = [read(source) for source in sources]
    for document in documents:
        report.take(document.diagnostics)
    return documents
