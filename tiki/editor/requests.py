"""What the editor asks about a document, each a look at its project's analysis."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tiki.diagnostics import Edit, Place, Span
from tiki.document import Examples
from tiki.editor import convert, navigate
from tiki.editor.complete import complete
from tiki.editor.engine import Analysis
from tiki.editor.fixes import quick_fixes
from tiki.editor.hints import hints
from tiki.editor.hover import hover
from tiki.editor.layout import layout, layout_of
from tiki.editor.names import Mark, mark_at
from tiki.editor.outline import folds, outline
from tiki.editor.project import Project
from tiki.editor.session import Session
from tiki.editor.text import Text
from tiki.editor.tokens import tokens

RUN_EXAMPLES = "tiki.runExamples"


@dataclass(frozen=True, slots=True)
class _Open:
    """A document that is asked about."""

    session: Session
    project: Project
    path: str
    text: Text

    @property
    def analysis(self) -> Analysis:
        return self.project.analysis(self.path)

    def place(self, position: types.Position) -> tuple[int, int]:
        return self.text.place(convert.position(position))

    def mark(self, position: types.Position) -> Mark | None:
        return mark_at(self.analysis, self.path, *self.place(position))

    def range(self, span: Span) -> types.Range:
        return convert.range_of(self.text, span)

    def span(self, of: types.Range) -> Span:
        return Span(*self.place(of.start), *self.place(of.end))

    def locations(self, places: Iterable[Place]) -> list[types.Location]:
        return [
            types.Location(
                self.session.uri_of(self.project, place.path),
                convert.range_of(self.session.text_of(self.project, place.path), place.span),
            )
            for place in places
        ]

    def text_edits(self, edits: Iterable[Edit]) -> list[types.TextEdit]:
        return [types.TextEdit(self.range(edit.span), edit.text) for edit in edits]

    def workspace_edit(self, edits: Iterable[Edit]) -> types.WorkspaceEdit:
        """Edits by document, for the versions that they were made for."""
        by_path: dict[str, list[Edit]] = {}
        for edit in edits:
            by_path.setdefault(edit.path, []).append(edit)
        changes = []
        for path, mine in by_path.items():
            buffer = self.project.buffers.get(path)
            document = types.OptionalVersionedTextDocumentIdentifier(
                self.session.uri_of(self.project, path), None if buffer is None else buffer.version
            )
            there = _Open(self.session, self.project, path, self.session.text_of(self.project, path))
            changes.append(types.TextDocumentEdit(document, there.text_edits(mine)))
        return types.WorkspaceEdit(document_changes=changes)


def _open(session: Session, uri: str) -> _Open:
    project, path = session.project_of(uri)
    return _Open(session, project, path, session.text_of(project, path))


def completion(session: Session, params: types.CompletionParams) -> types.CompletionList | None:
    here = _open(session, params.text_document.uri)
    found = complete(here.project.recent(here.path), here.path, here.text.lines, *here.place(params.position))
    return None if found is None else convert.completion(found, here.text)


def hovering(session: Session, params: types.HoverParams) -> types.Hover | None:
    here = _open(session, params.text_document.uri)
    found = hover(here.analysis, here.path, *here.place(params.position))
    if found is None:
        return None
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, found[0]), here.range(found[1]))


def definition(session: Session, params: types.DefinitionParams) -> list[types.Location]:
    here = _open(session, params.text_document.uri)
    mark = here.mark(params.position)
    return [] if mark is None else here.locations(navigate.definitions(here.analysis, mark))


def references(session: Session, params: types.ReferenceParams) -> list[types.Location]:
    here = _open(session, params.text_document.uri)
    mark = here.mark(params.position)
    declared = params.context.include_declaration
    return [] if mark is None else here.locations(navigate.references(here.analysis, mark, declared))


def highlights(session: Session, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    here = _open(session, params.text_document.uri)
    mark = here.mark(params.position)
    kinds = types.DocumentHighlightKind
    return [
        types.DocumentHighlight(here.range(one.place.span), kinds.Write if one.declares else kinds.Read)
        for one in (navigate.related(here.analysis, mark) if mark is not None else ())
        if one.place.path == here.path
    ]


def prepare_rename(session: Session, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    here = _open(session, params.text_document.uri)
    mark = here.mark(params.position)
    if mark is None:
        return None
    try:
        navigate.may_rename(here.analysis, mark)
    except navigate.CannotRename as error:
        raise _refused(error) from None
    return types.PrepareRenamePlaceholder(here.range(mark.place.span), mark.text)


def renaming(session: Session, params: types.RenameParams) -> types.WorkspaceEdit:
    here = _open(session, params.text_document.uri)
    mark = here.mark(params.position)
    if mark is None:
        raise _refused(navigate.CannotRename("there is no name here"))
    try:
        return here.workspace_edit(navigate.rename(here.analysis, mark, params.new_name))
    except navigate.CannotRename as error:
        raise _refused(error) from None


def _refused(error: navigate.CannotRename) -> JsonRpcException:
    return JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed)


def formatting(session: Session, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    here = _open(session, params.text_document.uri)
    return here.text_edits(layout(here.text.text, here.path))


def range_formatting(session: Session, params: types.DocumentRangeFormattingParams) -> list[types.TextEdit]:
    here = _open(session, params.text_document.uri)
    span = here.span(params.range)
    return here.text_edits(layout_of(here.text.text, here.path, span.line, span.end_line))


def code_actions(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    here = _open(session, params.text_document.uri)
    found = here.project.found().get(here.path, [])
    wanted = params.context.only
    if wanted and not any(kind in (types.CodeActionKind.QuickFix, types.CodeActionKind.Empty) for kind in wanted):
        return []
    locate = {here.path: (params.text_document.uri, here.text)}
    return [
        types.CodeAction(
            title=fix.title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[convert.diagnostic(fix.cures, here.text, locate)],
            is_preferred=fix.safe,
            edit=here.workspace_edit(fix.edits),
        )
        for fix in quick_fixes(found, here.span(params.range))
    ]


def lenses(session: Session, params: types.CodeLensParams) -> list[types.CodeLens]:
    """One above each table of examples."""
    here = _open(session, params.text_document.uri)
    document = here.analysis.documents.get(here.path)
    ran = here.project.examples(here.path)
    return [
        types.CodeLens(
            range=here.range(block.place.span),
            command=types.Command(
                title=convert.lens_title(None if ran is None else [one for one in ran if one.line in _rows(block)]),
                command=RUN_EXAMPLES,
                arguments=[params.text_document.uri],
            ),
        )
        for block in (document.blocks if document is not None else ())
        if isinstance(block, Examples)
    ]


def _rows(table: Examples) -> set[int]:
    return {row.place.span.line for row in table.rows}


def run_examples(session: Session, uri: str) -> None:
    """Runs them now, and says how they went."""
    project, path = session.project_of(uri)
    session.prove(project, project.environment(path), told=True)


def all_tokens(session: Session, params: types.SemanticTokensParams) -> types.SemanticTokens:
    here = _open(session, params.text_document.uri)
    return convert.semantic_tokens(tokens(here.analysis, here.path), here.text)


def some_tokens(session: Session, params: types.SemanticTokensRangeParams) -> types.SemanticTokens:
    here = _open(session, params.text_document.uri)
    span = here.span(params.range)
    return convert.semantic_tokens(tokens(here.analysis, here.path, span.line, span.end_line), here.text)


def inlay_hints(session: Session, params: types.InlayHintParams) -> list[types.InlayHint]:
    here = _open(session, params.text_document.uri)
    span = here.span(params.range)
    return [
        types.InlayHint(types.Position(*here.text.at(line, column)), label, padding_left=True)
        for line, column, label in hints(here.analysis, here.path, span.line, span.end_line)
    ]


def symbols(session: Session, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    here = _open(session, params.text_document.uri)
    document = here.analysis.documents.get(here.path)
    return [convert.symbol(part, here.text) for part in (outline(document) if document is not None else ())]


def folding(session: Session, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    here = _open(session, params.text_document.uri)
    return list(_folding(here))


def _folding(here: _Open) -> Iterator[types.FoldingRange]:
    document = here.analysis.documents.get(here.path)
    for first, last in folds(document) if document is not None else ():
        start, end = here.text.at(first, 1)[0], here.text.at(last, 1)[0]
        yield types.FoldingRange(start, end)
