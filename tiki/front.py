"""The YAML front matter of a file: `tiki:
1` between two lines of `---`, read so that hostile YAML is refused before anything is built from it."""

from typing import Any

import yaml

VERSION = 1
LONGEST = 1024
"""Characters of front matter; a handful is needed."""
DEEPEST = 4


class FrontError(Exception):
    """`line` counts from 0 within the front matter."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def read_front(text: str) -> int:
    """The language version that a front matter names. Raises FrontError."""
    if len(text) > LONGEST:
        raise FrontError(f"the front matter is longer than {LONGEST} characters")
    try:
        _refuse_hostile(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise FrontError("the front matter is not a mapping; write `tiki: 1`")
        found = _mapping(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise FrontError(
            f"the front matter is not YAML: {getattr(error, 'problem', error)}", mark.line if mark else 0
        ) from None
    except (ValueError, RecursionError) as error:
        raise FrontError(f"the front matter is not YAML: {error}") from None
    if "tiki" not in found:
        raise FrontError("the front matter names no version; write `tiki: 1`")
    if type(found["tiki"]) is not int or found["tiki"] != VERSION:
        raise FrontError(f"this is not a version of the language that is known here; write `tiki: {VERSION}`")
    return VERSION


def _refuse_hostile(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise FrontError("anchors and aliases are not read in a front matter", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise FrontError("the front matter is nested too deeply", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise FrontError("a key of the front matter is not a name", _line(key))
        if key.value != "tiki":
            raise FrontError("the front matter has the key `tiki` and no other; write `tiki: 1`", _line(key))
        if key.value in found:
            raise FrontError(f"`{key.value[:40]}` stands twice in the front matter", _line(key))
        found[key.value] = (
            yaml.safe_load(value.value) if isinstance(value, yaml.ScalarNode) and value.style is None else value
        )
    return found


def _line(item: yaml.Event | yaml.Node) -> int:
    return item.start_mark.line if item.start_mark is not None else 0
