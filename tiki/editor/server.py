"""The language server: `elias tiki lsp` (Language Server Protocol 3.17, by pygls).

Nothing that a text holds ends it, and a request for a document that is not open is answered, not an error.
"""

import gc
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types

from tiki.editor import requests, session
from tiki.editor.session import Session
from tiki.editor.tokens import LEGEND
from tiki.schema import Point

_TOKENS = types.SemanticTokensLegend(list(LEGEND), [types.SemanticTokenModifiers.Declaration])
_HANDLERS: Mapping[str, tuple[Callable[..., Any], Any]] = {
    types.INITIALIZED: (session.initialized, None),
    types.TEXT_DOCUMENT_DID_OPEN: (session.opened, None),
    types.TEXT_DOCUMENT_DID_CHANGE: (session.changed, None),
    types.TEXT_DOCUMENT_DID_CLOSE: (session.closed, None),
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: (session.files_changed, None),
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: (session.folders_changed, None),
    types.SHUTDOWN: (session.shut_down, None),
    types.TEXT_DOCUMENT_COMPLETION: (
        requests.completion,
        types.CompletionOptions(trigger_characters=[" ", ":", "(", "[", ",", "|", "."]),
    ),
    types.TEXT_DOCUMENT_HOVER: (requests.hovering, None),
    types.TEXT_DOCUMENT_DEFINITION: (requests.definition, None),
    types.TEXT_DOCUMENT_REFERENCES: (requests.references, None),
    types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT: (requests.highlights, None),
    types.TEXT_DOCUMENT_PREPARE_RENAME: (requests.prepare_rename, None),
    types.TEXT_DOCUMENT_RENAME: (requests.renaming, types.RenameOptions(prepare_provider=True)),
    types.TEXT_DOCUMENT_FORMATTING: (requests.formatting, None),
    types.TEXT_DOCUMENT_RANGE_FORMATTING: (requests.range_formatting, None),
    types.TEXT_DOCUMENT_CODE_ACTION: (
        requests.code_actions,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    ),
    types.TEXT_DOCUMENT_CODE_LENS: (requests.lenses, None),
    types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL: (requests.all_tokens, _TOKENS),
    types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE: (requests.some_tokens, _TOKENS),
    types.TEXT_DOCUMENT_INLAY_HINT: (requests.inlay_hints, None),
    types.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (requests.symbols, None),
    types.TEXT_DOCUMENT_FOLDING_RANGE: (requests.folding, None),
}


def server(points: Mapping[str, Point], specs: Path | None = None, overlay: str | None = None) -> Session:
    """specs: the folder of the specs in force, whose files are checked together, and with `overlay`."""
    made = Session(points, specs, overlay)
    for method, (handler, options) in _HANDLERS.items():
        made.feature(method, options)(partial(handler, made))

    def run_examples(uri: str) -> None:
        requests.run_examples(made, uri)

    made.command(requests.RUN_EXAMPLES)(run_examples)
    return made


def serve(
    points: Mapping[str, Point], specs: Path | None = None, overlay: str | None = None, port: int | None = None
) -> None:
    """Speaks on standard input and output until the editor ends it; with `port` on that port of this machine alone."""
    gc.set_threshold(50_000, 20, 100)  # trees that live long: a full collection holds a key up for a tenth of a second
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    logging.getLogger("tiki.editor").setLevel(logging.ERROR)
    if port is None:
        server(points, specs, overlay).start_io()
    else:
        server(points, specs, overlay).start_tcp("127.0.0.1", port)
