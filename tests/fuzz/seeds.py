"""Where the fuzzer begins: what ships, what the documentation shows, the corpus, and the words of the language."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.bundles.artefact import dump, make
from federation.bundles.signing import sign
from tests.fuzz.artefacts import VERSIONS
from tests.fuzz.documents import RULES, points
from tests.fuzz.keystrokes import edit
from tests.tiki import lab
from tiki.parse import WORDS
from tiki.schema import Point

_ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(?:tiki|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CELL = re.compile(r"`((?:[^`|]|\\\|)+)`")
_ABOVE = "- decides: lab.pressure\n- given: memory 50%, busy true\n"
_SCENARIOS = (
    "- load 10s: memory 80%+4%x4 97%x3 85%\n- from 0s to 20s: hold\n- at 1m: shed_load(newest) by hot\n",
    "- load 10s on a: memory 95%x9\n- load 10s on b, c: memory 95% _x3 unknown absent\n- at 0s on a, b: hold\n",
    "- limit: 40%\n- restart at 20s\n- load 10s from 5s: memory 50%x9, state lost x9\n- from 5s to 1m: nothing new\n",
    "- given: busy absent\n- at 0s: consult [scale_out, migrate] by odd\n",
    "- at 0s: migrate with target.gpu_free=1, job.gpu=2 is forbidden by room\n- at 0s: scale_out is allowed\n",
    "- load 100ms: failures 2_per_minute+1 x3, free 1.5GB+0.5GBx3, labels [gpu, spot] x3\n- at 0s, 100ms: fallback\n",
)


def seeds(target: str) -> list[bytes]:
    """Inputs of one target that are worth changing, the same ones every time."""
    return list(dict.fromkeys(_SEEDS[target]()))


def words() -> list[str]:
    """Words and marks that a language of this kind is made of, for all targets."""
    marks = (
        *("- ", "## ", "### Examples", " Spec", "| --- |", "<!-- ", " -->", "```", "```tiki", "---", "tiki: 1"),
        *("\n", "\r\n", "  ", "\t", "(", ")", "[", "]", "|", ":", ", ", '"', "==", "!=", "<=", ">=", "<", ">", "x3"),
        *("80%", "5m", "30s", "8GiB", "_per_minute", "true", "false", "unknown", "1e9", "999999999999999999", "-3"),
        *("decides: ", "fallback: ", "## Scenario: ", "load 10s: ", "given: ", "restart at ", "from 0s to ", " on a"),
        *("clear at ", "is absent", "nothing new", "still ", "is forbidden", "is allowed", " with ", " by ", "_x3"),
        *(
            "[5%]",
            "[ready, lost]",
            "(busy)",
            "not busy",
            "3, 4",
            "request_operator",
            "\u00a0",
            "\u200b",
            "é",
            "\U0001f600",
            "\x00",
        ),
    )
    return [*marks, *WORDS, *dict.fromkeys(name for point in points().values() for name in _names(point))]


def _names(point: Point) -> Iterator[str]:
    yield point.name
    yield from point.titles
    for one in (*point.facts, *point.settings, *point.attributes):
        yield one.name
        yield from one.values
    for action in point.actions:
        yield action.name


def _files(*patterns: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(_ROOT.glob(pattern))]


def _fences() -> Iterator[str]:
    for page in _files("docs/tiki/**/*.md"):
        yield from _FENCE.findall(page)


def _cells() -> Iterator[str]:
    """The bullets of the tables of the definition: a file of each."""
    for line in _files("docs/tiki/semantics.md")[0].splitlines():
        if line.startswith("| "):
            found = [cell.replace("\\|", "|") for cell in _CELL.findall(line.split(" | ")[0])]
            yield "\n".join(["## LAB Pressure Spec", *(f"- {one.removeprefix('- ')}" for one in found)])


def _is_test(text: str) -> bool:
    return "## Scenario" in text


def _specs() -> Iterator[bytes]:
    written = [text for text in (*_files("tiki_specs/**/*.tiki"), *_fences()) if not _is_test(text)]
    for text in (RULES, *written, *_cells(), *_files("tests/tiki/corpus/*/*.tiki", "docs/tiki/*.md")):
        yield text.encode()


def _scenarios() -> Iterator[bytes]:
    for lines in _SCENARIOS:
        yield f"{_ABOVE}\n## Scenario: one\n\nWhy.\n\n{lines}".encode()
    for text in (*_files("tiki_specs/**/*_test.tiki"), *filter(_is_test, _fences())):
        yield text.encode()
        yield re.sub(r"decides: \S+", "decides: lab.pressure", text).encode()


def _bundles() -> Iterator[bytes]:
    small = {"lab.tiki": RULES}
    over = {"overlays/prod/lab.tiki": lab.spec("limit: 70%"), "b.md": f"# Why\n```tiki\n{lab.spec('spare: 5%')}```\n"}
    shipped = {"urm/admission.tiki": _files("tiki_specs/urm/admission.tiki")[0]}
    until = datetime(2030, 1, 31, tzinfo=UTC)
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2)]
    for texts, versions in ((small, VERSIONS), (small | over, VERSIONS), (shipped, {"urm.admission": 1})):
        made = make(texts, versions, "2026.10", until)
        yield dump(make(texts, versions, "1.0.0-rc1"))
        yield dump(sign(made, keys[0]))
        yield dump(sign(sign(made, keys[0]), keys[1]))


def _edited() -> Iterator[bytes]:
    """Specs while somebody works on them: words that come and go, and lines of one file in another."""
    draw = random.Random(7)
    puts = words()
    texts = [raw for raw in _specs() if len(raw) < 2000][::2]
    for raw in texts:
        lines = raw.decode().splitlines(keepends=True)
        whole = edit(1, (0, 0), (0, 0), "".join(draw.sample(lines, min(len(lines), 4))))
        changes = [
            edit(
                draw.randrange(3),
                (draw.randrange(len(lines) + 1), draw.randrange(60)),
                (draw.choice((0, 0, 0, 1)), draw.randrange(12)),
                draw.choice(puts + lines),
            )
            for _ in range(draw.randrange(5))
        ]
        yield b"".join([raw, whole, *changes])


_SEEDS: Mapping[str, Callable[[], Iterator[bytes]]] = {
    "spec": _specs,
    "scenarios": _scenarios,
    "bundle": _bundles,
    "editor": _edited,
}
