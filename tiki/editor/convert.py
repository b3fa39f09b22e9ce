"""From what the editor modules say to the types of the Language Server Protocol."""

from collections.abc import Iterable, Mapping, Sequence

from lsprotocol import types

from tiki.diagnostics import Diagnostic, Severity, Span
from tiki.editor.complete import Completion, Item
from tiki.editor.names import Kind
from tiki.editor.outline import Part, PartKind
from tiki.editor.slow import Ran
from tiki.editor.text import Text
from tiki.editor.tokens import LEGEND, Token

SOURCE = "elias tiki"
EXAMPLES = "elias tiki test"
"""Who speaks: the check, and the examples that were run."""

_SEVERITY = {Severity.ERROR: types.DiagnosticSeverity.Error, Severity.WARNING: types.DiagnosticSeverity.Warning}
_ITEM = {
    Kind.FACT: types.CompletionItemKind.Variable,
    Kind.SETTING: types.CompletionItemKind.Property,
    Kind.ATTRIBUTE: types.CompletionItemKind.Field,
    Kind.ACTION: types.CompletionItemKind.Function,
    Kind.CLAUSE: types.CompletionItemKind.Event,
    Kind.POINT: types.CompletionItemKind.Module,
    Kind.TIER: types.CompletionItemKind.EnumMember,
    Kind.VALUE: types.CompletionItemKind.Value,
    Kind.TITLE: types.CompletionItemKind.Class,
}
_SYMBOL: Mapping[PartKind, types.SymbolKind] = {
    "section": types.SymbolKind.String,
    "spec": types.SymbolKind.Class,
    "setting": types.SymbolKind.Property,
    "rule": types.SymbolKind.Event,
    "guard": types.SymbolKind.Operator,
    "otherwise": types.SymbolKind.Event,
    "examples": types.SymbolKind.Array,
}


def range_of(text: Text, span: Span) -> types.Range:
    start, end = text.range(span)
    return types.Range(types.Position(*start), types.Position(*end))


def position(of: types.Position) -> tuple[int, int]:
    return of.line, of.character


def diagnostic(found: Diagnostic, text: Text, locate: Mapping[str, tuple[str, Text]]) -> types.Diagnostic:
    """locate: from the paths of a project to its URIs and texts."""
    lines = [found.message]
    if found.example:
        lines.append(f"for example: {found.example}")
    if found.suggestion is not None:
        lines.append(f"did you mean `{found.suggestion}`?")
    if found.help:
        lines.append(f"help: {found.help}")
    related = [
        types.DiagnosticRelatedInformation(
            types.Location(locate[note.place.path][0], range_of(locate[note.place.path][1], note.place.span)),
            note.message,
        )
        for note in found.notes
        if note.place.path in locate
    ]
    return types.Diagnostic(
        range=range_of(text, Span(found.line, found.column, found.end_line, found.end_column)),
        message="\n".join(lines),
        severity=_SEVERITY[found.severity],
        code=found.code,
        source=SOURCE,
        related_information=related or None,
    )


def failure(ran: Ran, text: Text) -> types.Diagnostic:
    """An example that did not come out as written."""
    length = len(text.lines[ran.line - 1]) + 1 if ran.line <= len(text.lines) else 1
    return types.Diagnostic(
        range=range_of(text, Span(ran.line, 1, ran.line, length)),
        message=ran.message,
        severity=types.DiagnosticSeverity.Error,
        source=EXAMPLES,
    )


def completion(found: Completion, text: Text) -> types.CompletionList:
    where = range_of(text, found.span)
    return types.CompletionList(
        is_incomplete=False, items=[_item(number, item, where) for number, item in enumerate(found.items)]
    )


def _item(number: int, item: Item, where: types.Range) -> types.CompletionItem:
    return types.CompletionItem(
        label=item.label,
        kind=types.CompletionItemKind.Keyword if item.kind is None else _ITEM[item.kind],
        detail=item.detail or None,
        documentation=item.doc or None,
        sort_text=f"{number:04}",
        text_edit=types.TextEdit(where, item.text or item.label),
    )


def symbol(part: Part, text: Text) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=part.title or "-",
        detail=part.detail or None,
        kind=_SYMBOL[part.kind],
        range=range_of(text, part.whole),
        selection_range=range_of(text, part.name),
        children=[symbol(one, text) for one in part.parts],
    )


def semantic_tokens(tokens: Iterable[Token], text: Text) -> types.SemanticTokens:
    """Five numbers a token: lines and columns since the one before, length, type, modifiers (bit 0: declares)."""
    data: list[int] = []
    line = column = 0
    for token in tokens:
        (at_line, start), (_, end) = text.range(token.span)
        data += [at_line - line, start - column if at_line == line else start, end - start]
        data += [LEGEND.index(token.type), int(token.declares)]
        line, column = at_line, start
    return types.SemanticTokens(data=data)


def lens_title(ran: Sequence[Ran] | None) -> str:
    """What stands above a table of examples."""
    if ran is None:
        return "run examples"
    failed = sum(not one.passed for one in ran)
    if failed:
        return f"{failed} of {len(ran)} examples fail: run again"
    return f"{len(ran)} examples pass" if len(ran) != 1 else "1 example passes"
