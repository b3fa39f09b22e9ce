"""A real editor's side of the conversation: pygls' client, and `elias tiki lsp` as a process of its own."""

import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lab
from lsprotocol import types
from pygls.lsp.client import LanguageClient

REPOSITORY = Path(__file__).parents[2]


class Editor:
    """Keeps what the server sent unasked, and waits for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("a test", "1")
        self.diagnostics: dict[str, types.PublishDiagnosticsParams] = {}
        self.messages: list[str] = []
        self._news = asyncio.Condition()
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self._published))
        self.client.feature(types.WINDOW_SHOW_MESSAGE)(partial(self._shown))
        self.client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda params: None)
        self.client.feature(types.WORKSPACE_CODE_LENS_REFRESH)(lambda params: None)

    def command(self, *arguments: str) -> list[str]:
        """What starts the server, for the point of the laboratory."""
        points = self.folder.parent / "points.json"
        points.write_text(json.dumps([lab.POINT.model_dump(mode="json")]), encoding="utf-8")
        return [sys.executable, "-m", "managers.uim.cli", "tiki", "lsp", "--points", str(points), *arguments]

    async def start(self, **capabilities: Any) -> types.InitializeResult:
        await self.client.start_io(*self.command(), cwd=REPOSITORY)
        return await self.greet(**capabilities)

    async def greet(self, **capabilities: Any) -> types.InitializeResult:
        result = await self.client.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(**capabilities),
                workspace_folders=[types.WorkspaceFolder(self.folder.as_uri(), "specs")],
            )
        )
        self.client.initialized(types.InitializedParams())
        return result

    async def stop(self) -> int | None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await asyncio.wait_for(self.client.stop(), 20)
        process = self.client._server
        return process.returncode if process is not None else None

    def uri(self, path: str) -> str:
        return (self.folder / path).as_uri()

    def document(self, path: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(path))

    def open(self, path: str, text: str, version: int = 1) -> None:
        item = types.TextDocumentItem(self.uri(path), "tiki", version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, path: str, version: int, *changes: types.TextDocumentContentChangeEvent) -> None:
        document = types.VersionedTextDocumentIdentifier(version, self.uri(path))
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, list(changes)))

    def replace(self, path: str, version: int, text: str) -> None:
        self.change(path, version, types.TextDocumentContentChangeWholeDocument(text))

    async def published(self, path: str, version: int | None = None, codes: Sequence[str] | None = None) -> list[str]:
        """Waits for the diagnostics of a version, or for those with these codes; gives the codes."""

        def come() -> bool:
            found = self.diagnostics.get(self.uri(path))
            if found is None or (version is not None and found.version != version):
                return False
            return codes is None or self.codes(path) == list(codes)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(come), 60)
        return self.codes(path)

    async def told(self) -> str:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: bool(self.messages)), 60)
        return self.messages[-1]

    def codes(self, path: str) -> list[str]:
        return [str(one.code or one.source) for one in self.diagnostics[self.uri(path)].diagnostics]

    async def _published(self, params: types.PublishDiagnosticsParams) -> None:
        async with self._news:
            self.diagnostics[params.uri] = params
            self._news.notify_all()

    async def _shown(self, params: types.ShowMessageParams) -> None:
        async with self._news:
            self.messages.append(params.message)
            self._news.notify_all()


def insert(line: int, character: int, text: str) -> types.TextDocumentContentChangePartial:
    at = types.Position(line, character)
    return types.TextDocumentContentChangePartial(types.Range(at, at), text)
