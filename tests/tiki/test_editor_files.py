"""The files for editors, as far as they can be checked without one."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

EDITORS = Path(__file__).parents[2] / "tiki" / "editors"
CODE = EDITORS / "vscode"
GRAMMAR = json.loads((CODE / "syntaxes" / "tiki.tmLanguage.json").read_text(encoding="utf-8"))
SERVER = ["elias", "tiki", "lsp"]


def rules(of: Any) -> list[dict[str, Any]]:
    found = [of] if isinstance(of, dict) else []
    for part in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        found += rules(part)
    return found


def regex(text: str) -> re.Pattern[str]:
    """Oniguruma's as Python's: what is used here means the same in both, but for `\\G`, where the last match ended."""
    return re.compile(text.replace("\\G", ""))


class Lines:
    """Reads lines by a TextMate grammar: the leftmost match of the rules in force, and the first of several."""

    def __init__(self) -> None:
        self.open: list[dict[str, Any]] = []
        self.closing: list[str] = []

    def read(self, line: str) -> list[tuple[str, str]]:
        """Each scoped stretch, with its scope."""
        found: list[tuple[str, str]] = []
        at, last = 0, 0
        while at <= len(line):
            within = self.open[-1].get("patterns", []) if self.open else GRAMMAR["patterns"]
            end = regex(self.closing[-1]).search(line, at) if self.open else None
            options = [(match, rule) for rule in flat(within) if (match := self.match(rule, line, at, last))]
            best = min(options, key=lambda option: option[0].start(), default=None)
            if end is not None and (best is None or end.start() <= best[0].start()):
                self.open.pop()
                self.closing.pop()
                at = max(end.end(), at)
                if end.end() == end.start() == at and not line[at:]:
                    return found
                continue
            if best is None:
                return found
            match, rule = best
            found += scopes(match, rule)
            if "begin" in rule:
                self.open.append(rule)
                self.closing.append(rule["end"].replace("\\1", re.escape(match[1] if match.lastindex else "")))
                last = match.end()
            at = match.end() + (match.end() == match.start() and "begin" not in rule)
        return found

    def match(self, rule: dict[str, Any], line: str, at: int, last: int) -> re.Match[str] | None:
        written = rule.get("match", rule.get("begin", ""))
        if "\\G" in written:
            return regex(written).match(line, last) if at == last else None
        return regex(written).search(line, at)


def flat(patterns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for rule in patterns:
        if "include" in rule:
            found += flat([GRAMMAR["repository"][rule["include"].removeprefix("#")]])
        elif "match" in rule or "begin" in rule:
            found.append(rule)
        else:
            found += flat(rule["patterns"])
    return found


def scopes(match: re.Match[str], rule: dict[str, Any]) -> list[tuple[str, str]]:
    captures = rule.get("captures", rule.get("beginCaptures", {}))
    if captures:
        return [(match[int(number)].strip(), of["name"]) for number, of in captures.items()]
    return [(match[0], rule["name"])] if "name" in rule and "match" in rule else []


def kinds(line: str) -> list[tuple[str, str]]:
    return [(text, scope.removesuffix(".tiki")) for text, scope in Lines().read(line)]


SAMPLES = {
    "## URM Resource Pressure Spec": [
        ("##", "punctuation.definition.heading"),
        ("URM", "entity.name.namespace"),
        ("Resource Pressure", "entity.name.class"),
        ("Spec", "keyword.other.spec"),
    ],
    "### Examples": [("###", "punctuation.definition.heading"), ("Examples", "entity.name.section")],
    "- memory_threshold: 80%": [
        ("-", "punctuation.definition.list.begin"),
        ("memory_threshold", "support.type.property-name"),
        (":", "punctuation.separator"),
        ("80%", "constant.numeric"),
    ],
    "- decides: urm.admission": [
        ("-", "punctuation.definition.list.begin"),
        ("decides", "support.type.property-name"),
        (":", "punctuation.separator"),
        ("urm.admission", "entity.name.namespace"),
    ],
    "- hot: when memory >= limit and not busy for 30s, clear at 85%: shed_load(newest)": [
        ("-", "punctuation.definition.list.begin"),
        ("hot", "entity.name.label"),
        (":", "punctuation.separator"),
        ("when", "keyword.control"),
        ("memory", "variable.other"),
        (">=", "keyword.operator.comparison"),
        ("limit", "variable.other"),
        ("and", "keyword.operator.word"),
        ("not", "keyword.operator.word"),
        ("busy", "variable.other"),
        ("for", "keyword.control"),
        ("30s", "constant.numeric"),
        (",", "punctuation.separator"),
        ("clear at", "keyword.control"),
        ("85%", "constant.numeric"),
        (":", "punctuation.separator"),
        ("shed_load", "entity.name.function"),
        ("newest", "variable.other"),
    ],
    "- never migrate when target.gpu_free < 5_per_minute": [
        ("-", "punctuation.definition.list.begin"),
        ("never", "keyword.control"),
        ("migrate", "variable.other"),
        ("when", "keyword.control"),
        ("target.gpu_free", "variable.other.member"),
        ("<", "keyword.operator.comparison"),
        ("5_per_minute", "constant.numeric"),
    ],
    "| 95% | absent |": [
        ("|", "punctuation.separator.table"),
        ("95%", "constant.numeric"),
        ("|", "punctuation.separator.table"),
        ("absent", "constant.language"),
        ("|", "punctuation.separator.table"),
    ],
    "When memory is short, `hold` waits.": [("`hold`", "markup.inline.raw")],
}


@pytest.mark.parametrize(("line", "expected"), SAMPLES.items(), ids=SAMPLES)
def test_the_grammar_colours_a_line(line: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(line) == expected


def test_a_bullet_goes_on_over_indented_lines_and_ends_before_prose() -> None:
    lines = Lines()
    lines.read("- when memory > 5%")
    assert ("busy", "variable.other.tiki") in lines.read("  and busy: hold")
    assert lines.read("and memory is prose again") == []


@pytest.mark.parametrize("file", sorted(CODE.rglob("*.json")), ids=lambda file: file.name)
def test_every_expression_can_be_compiled_and_every_include_is_there(file: Path) -> None:
    loaded = json.loads(file.read_text(encoding="utf-8"))
    for rule in rules(loaded):
        for key in ("match", "begin", "end", "wordPattern", "beforeText"):
            if isinstance(rule.get(key), str):
                regex(rule[key].replace("(\\1)", "(x)"))
        include = rule.get("include")
        assert include in (None, "text.tiki") or include.removeprefix("#") in loaded["repository"]


def test_the_extension_names_files_that_are_there_and_settings_that_it_reads() -> None:
    package = json.loads((CODE / "package.json").read_text(encoding="utf-8"))
    contributes = package["contributes"]
    paths = [package["main"], *(grammar["path"] for grammar in contributes["grammars"])]
    paths += [language["configuration"] for language in contributes["languages"]]
    assert all((CODE / path).is_file() for path in paths)
    script = (CODE / package["main"]).read_text(encoding="utf-8")
    read = set(re.findall(r'settings\.get\("(\w+)"\)', script))
    assert {f"tiki.{name}" for name in read} == set(contributes["configuration"]["properties"])
    assert set(re.findall(r'require\("([^"/]+)', script)) == {"vscode", *package["dependencies"]}
    assert [language["id"] for language in contributes["languages"]] == ["tiki"]
    assert contributes["grammars"][0]["scopeName"] == GRAMMAR["scopeName"]
    assert package["engines"]["vscode"].startswith("^1.")
    assert contributes["configuration"]["properties"]["tiki.command"]["default"] == SERVER[0]
    assert 'args: ["tiki", "lsp"' in script


def test_neovim_and_helix_start_the_same_server() -> None:
    helix = tomllib.loads((EDITORS / "helix" / "languages.toml").read_text(encoding="utf-8"))
    server = helix["language-server"]["tiki"]
    assert [server["command"], *server["args"]] == SERVER
    assert helix["language"][0]["language-servers"] == ["tiki"]
    lua = (EDITORS / "neovim" / "tiki.lua").read_text(encoding="utf-8")
    command = re.search(r"cmd = \{(.*?)\}", lua)
    assert command is not None
    assert shlex.split(command[1].replace(",", " ")) == SERVER
