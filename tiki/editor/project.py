"""The specs of a folder as `elias tiki check` sees it, with what is open in an editor over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiki.bundle import specs_below
from tiki.diagnostics import Diagnostic, Report, Source
from tiki.editor.engine import Analysis, Engine, Reader
from tiki.editor.slow import Ran
from tiki.editor.text import Text
from tiki.merge import OVERLAYS
from tiki.schema import Point
from tiki.testing.files import is_test, tests_below


@dataclass(slots=True)
class Buffer:
    """A text as the editor has it. uri: as the editor writes it."""

    uri: str
    text: Text
    version: int


@dataclass(slots=True)
class Proved:
    """What the slow worker said of one environment, and which state of the texts it is about."""

    revision: int
    found: tuple[Diagnostic, ...]
    examples: tuple[Ran, ...]
    texts: Mapping[str, str] = field(repr=False)


class Project:
    """A folder, or one file by itself (`root` is None). Paths are relative to the folder, as in findings.

    An overlay's file is checked with the base and the other files of its environment; a file of the base with the
    overlay `overlay`, by default none.
    """

    def __init__(self, points: Mapping[str, Point], root: Path | None = None, overlay: str | None = None) -> None:
        self.root, self.overlay, self.points = root, overlay, points
        self.buffers: dict[str, Buffer] = {}
        self.revision = 0
        self.proved: dict[str | None, Proved] = {}
        self._files: dict[str, str] = {}
        self._unreadable: list[Diagnostic] = []
        self._reader = Reader()
        self._engines: dict[str | None, Engine] = {}
        self._analyses: dict[str | None, tuple[int, Analysis]] = {}
        self.reload()

    def reload(self) -> bool:
        """Reads the folder again; whether something there is not as it was."""
        before = self._files, self._unreadable
        self._files, self._unreadable = {}, []
        if self.root is not None and self.root.is_dir():
            self._take(self.root, "")
            report = Report()
            self._files |= {source.path: source.text for source in tests_below(self.root, report)}
            self._unreadable += report.found
            for environment in sorted((self.root / OVERLAYS).glob("*")):
                if environment.is_dir():
                    self._take(environment, f"{OVERLAYS}{environment.name}/")
        changed = before != (self._files, self._unreadable)
        self.revision += changed
        return changed

    def _take(self, folder: Path, prefix: str) -> None:
        report = Report()
        self._files |= {source.path: source.text for source in specs_below(folder, prefix, report)}
        self._unreadable += report.found

    def open(self, path: str, buffer: Buffer) -> None:
        self.revision += 1
        self.buffers[path] = buffer

    def close(self, path: str) -> None:
        self.revision += 1
        self.buffers.pop(path, None)

    @property
    def texts(self) -> dict[str, str]:
        """Every text, with what is open in place of the files; of Markdown only what speaks of TIKI, and no tests."""
        return {
            path: text
            for path, text in self._now().items()
            if not is_test(path) and (not path.endswith(".md") or "tiki" in text)
        }

    @property
    def tests(self) -> dict[str, str]:
        """Every file of scenarios, with what is open in place of the files; those of a file by itself have no specs."""
        return {} if self.root is None else {path: text for path, text in self._now().items() if is_test(path)}

    def _now(self) -> dict[str, str]:
        return self._files | {path: buffer.text.text for path, buffer in self.buffers.items()}

    def environments(self) -> set[str | None]:
        """The environments that are shown: that of the base, and those with an overlay that is open."""
        return {self.overlay, *(self.environment(path) for path in self.buffers)}

    def unproved(self) -> list[str | None]:
        """Those of them that the worker has not answered about since something changed."""
        known = {environment for environment, proved in self.proved.items() if proved.revision == self.revision}
        return sorted(self.environments() - known, key=str)

    def environment(self, path: str) -> str | None:
        return path.split("/")[1] if path.startswith(OVERLAYS) and path.count("/") > 1 else self.overlay

    def parts(self, environment: str | None) -> tuple[list[Source], list[Source]]:
        """The sources and the overlays of an environment."""
        texts = self.texts
        over = f"{OVERLAYS}{environment}/"
        base = [Source(path, text) for path, text in texts.items() if not path.startswith(OVERLAYS)]
        overlays = [Source(path, text) for path, text in texts.items() if environment and path.startswith(over)]
        return base, overlays

    def analysis(self, path: str) -> Analysis:
        """The check of the environment that a file belongs to, made again where something changed."""
        return self._analysis(self.environment(path))

    def recent(self, path: str) -> Analysis:
        """The same, or the one before it, where the file has as many lines still: good enough to complete a word."""
        environment = self.environment(path)
        _, known = self._analyses.get(environment, (0, None))
        document = known.documents.get(path) if known is not None else None
        if known is None or document is None or path not in self.buffers:
            return self._analysis(environment)
        same = document.source.text.count("\n") == self.buffers[path].text.text.count("\n")
        return known if same else self._analysis(environment)

    def _analysis(self, environment: str | None) -> Analysis:
        revision, known = self._analyses.get(environment, (-1, None))
        if known is not None and revision == self.revision:
            return known
        engine = self._engines.setdefault(environment, Engine(self.points, self._reader))
        analysis = engine.check(*self.parts(environment))
        self._analyses[environment] = self.revision, analysis
        return analysis

    def found(self) -> dict[str, list[Diagnostic]]:
        """What there is to say about every file, by path. What was proved stays until its file changes."""
        texts = self.texts | self.tests
        shown: dict[str, list[Diagnostic]] = {path: [] for path in texts}
        for environment in self.environments():
            for one in self._found(environment, texts):
                if one.path in shown and self.environment(one.path) == environment:
                    shown[one.path].append(one)
        for one in self._unreadable:
            if one.path not in self.buffers:
                shown.setdefault(one.path, []).append(one)
        return shown

    def _found(self, environment: str | None, texts: Mapping[str, str]) -> Iterator[Diagnostic]:
        now = self._analysis(environment).found
        proved = self.proved.get(environment)
        if proved is not None and proved.revision == self.revision:
            yield from proved.found
            return
        yield from now
        if proved is not None:
            seen = set(now)
            yield from (
                one for one in proved.found if one not in seen and texts.get(one.path) == proved.texts.get(one.path)
            )

    def examples(self, path: str) -> tuple[Ran, ...] | None:
        """How the examples of a file went; None where that is not known of the texts as they are."""
        proved = self.proved.get(self.environment(path))
        if proved is None or proved.revision != self.revision:
            return None
        return tuple(one for one in proved.examples if one.path == path)
