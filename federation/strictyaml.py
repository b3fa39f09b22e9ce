"""YAML as ELIAS reads it everywhere: the safe loader, duplicate keys refused, size and aliases bounded."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from federation.errors import Refused

MAX_BYTES = 1 << 20
MAX_DEPTH = 32


class _Loader(yaml.SafeLoader):
    """SafeLoader that counts depth and refuses aliases and duplicate keys: 9 lines of aliases can stand for 10^9
    nodes.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise _wrong("aliases are not allowed", self._mark())
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > MAX_DEPTH:
            raise _wrong(f"nested deeper than {MAX_DEPTH}", self._mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _mark(self) -> Any:
        return self.peek_event().start_mark  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a key must be a word", key.start_mark)
            if key.value in seen:
                raise _wrong(f"the key `{key.value}` is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _wrong(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def loads(text: str, path: str) -> Any:
    """The document of a YAML text. Raises Refused with line and column; `path` is only for the message."""
    if len(text.encode()) > MAX_BYTES:
        raise Refused("yaml-too-large", f"more than {MAX_BYTES} bytes", place=path, cure="split the file")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise Refused("yaml", error.problem or "not YAML", place=place, cure="correct this line") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Refused("yaml", f"not YAML: {str(error).splitlines()[0]}", place=path, cure="correct the file") from None


def place(path: Path, keys: Sequence[int | str]) -> str:
    """`path:line:column` of the key at the end of these keys, or of the nearest around it that the file has."""
    found = node = yaml.compose(_read(path), _Loader)
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            named = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if named is None:
                break
            found, node = named
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found = node = node.value[key]
        else:
            break
    return f"{path}:{found.start_mark.line + 1}:{found.start_mark.column + 1}" if found else str(path)


def load(path: Path) -> Any:
    """The document of a YAML file. Raises Refused with place and cure."""
    return loads(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refused("no-file", "there is no such file", place=str(path), cure="check the path") from None
    except UnicodeDecodeError:
        raise Refused("not-text", "not UTF-8 text", place=str(path), cure="save the file as UTF-8") from None
    except OSError as error:
        raise Refused(
            "unreadable", error.strerror or str(error), place=str(path), cure="check its permissions"
        ) from None
