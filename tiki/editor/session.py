"""One editor at work: its documents and their versions, when they are checked, and what is sent unasked."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.uris import from_fs_path, to_fs_path

from tiki.editor import convert
from tiki.editor.project import Buffer, Project, Proved
from tiki.editor.slow import Answer, question
from tiki.editor.text import Text
from tiki.editor.worker import Worker
from tiki.schema import Point

SOON = 0.01
"""Seconds from a keystroke to its diagnostics: keystrokes that come in one burst are checked once."""
PAUSE = 0.4
"""Seconds without a keystroke after which the solver is asked."""
BUDGET = 10.0
"""Seconds for its proofs."""

logger = logging.getLogger(__name__)


class _Protocol(LanguageServerProtocol):
    """Leaves the texts to the server: pygls' own copy splits lines where the protocol does not."""

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None


class Session(LanguageServer):
    """specs: the folder of specs in force; below it, files are checked together, and with `overlay`."""

    def __init__(self, points: Mapping[str, Point], specs: Path | None = None, overlay: str | None = None) -> None:
        super().__init__("elias-tiki", version("elias"), protocol_cls=_Protocol)
        self.points, self.specs, self.overlay = points, specs, overlay
        self.roots: dict[Path, Project] = {}
        self.alone: dict[str, Project] = {}
        self.worker = Worker()
        self._sent: dict[Project, dict[str, _Sent]] = {}
        self._soon: dict[Project, asyncio.TimerHandle] = {}
        self._pause: asyncio.TimerHandle | None = None

    def report_server_error(self, error: Exception, source: Any) -> None:
        """A message that makes no sense is the client's mistake, and no reason to show a person a window."""
        logger.error("%s: %s", source, error)

    # Where things are

    @property
    def encoding(self) -> str:
        kind = self.workspace.position_encoding
        return kind.value if isinstance(kind, types.PositionEncodingKind) else kind or "utf-16"

    def add_folder(self, uri: str) -> None:
        """Takes a folder of the editor in; the specs in force stand for the folder that they lie in. What was opened
        from there before belongs to it now."""
        root = self._root(uri)
        if root is None or root in self.roots:
            return
        project = self.roots[root] = Project(self.points, root, self.overlay)
        for opened, alone in list(self.alone.items()):
            for buffer in alone.buffers.values():
                home, path = self.project_of(opened)
                if home is project:
                    project.open(path, buffer)
                    del self.alone[opened]

    def remove_folder(self, uri: str) -> None:
        root = self._root(uri)
        project = self.roots.pop(root, None) if root is not None else None
        if project is not None:
            self._send(project, {})
            for buffer in project.buffers.values():
                self.opened(buffer)

    def _root(self, uri: str) -> Path | None:
        found = to_fs_path(uri)
        if found is None or not Path(found).is_dir():
            return None
        folder = Path(found).absolute()
        specs, real = None if self.specs is None else self.specs.resolve(), folder.resolve()
        return folder / specs.relative_to(real) if specs is not None and specs.is_relative_to(real) else folder

    def project_of(self, uri: str) -> tuple[Project, str]:
        """The project of a document, and its path there. A document outside of all folders is checked by itself."""
        found = to_fs_path(uri) if uri.startswith("file:") else None
        for root, project in sorted(self.roots.items(), key=lambda item: -len(item[0].parts)):
            if found is not None and Path(found).is_relative_to(root):
                return project, Path(found).relative_to(root).as_posix()
        name = unquote(urlsplit(uri).path).rpartition("/")[2] or "untitled"
        path = name if name.endswith((".tiki", ".md")) else f"{name}.tiki"
        return self.alone.get(uri) or Project(self.points), path

    def uri_of(self, project: Project, path: str) -> str:
        """As the editor writes it, where the document is open."""
        if path in project.buffers:
            return project.buffers[path].uri
        return from_fs_path(str((project.root or Path()) / path)) or ""

    def text_of(self, project: Project, path: str) -> Text:
        buffer = project.buffers.get(path)
        return buffer.text if buffer is not None else Text(project.texts.get(path, ""), self.encoding)

    # When things happen

    def opened(self, buffer: Buffer) -> None:
        project, path = self.project_of(buffer.uri)
        if project.root is None:
            self.alone[buffer.uri] = project
        project.open(path, buffer)
        self.changed(project)

    def changed(self, project: Project) -> None:
        """Checks soon; asks the solver after a pause."""
        loop = asyncio.get_running_loop()
        if project not in self._soon:
            self._soon[project] = loop.call_later(SOON, self._publish_soon, project)
        if self._pause is not None:
            self._pause.cancel()
        self._pause = loop.call_later(PAUSE, self._prove_next)

    def _publish_soon(self, project: Project) -> None:
        del self._soon[project]
        self.publish(project)

    def publish(self, project: Project) -> None:
        """Sends what is not what was sent last."""
        texts = {path: Text(text, self.encoding) for path, text in (project.texts | project.tests).items()}
        texts |= {path: buffer.text for path, buffer in project.buffers.items()}
        locate = {path: (self.uri_of(project, path), text) for path, text in texts.items()}
        now = {}
        for path, found in project.found().items():
            uri, text = locate.get(path) or (self.uri_of(project, path), Text("", self.encoding))
            failed = [one for one in project.examples(path) or () if not one.passed]
            said = [convert.diagnostic(one, text, locate) for one in found]
            said += [convert.failure(one, text) for one in failed]
            version = project.buffers[path].version if path in project.buffers else None
            now[uri] = _Sent(version, said)
        self._send(project, now)

    def _send(self, project: Project, now: dict[str, "_Sent"]) -> None:
        before = self._sent.get(project, {})
        self._sent[project] = now
        if not now:
            del self._sent[project]
        gone = {uri: _Sent(None, []) for uri in before.keys() - now.keys()}
        for uri, sent in (gone | now).items():
            if before.get(uri, _Sent(None, [])) != sent:
                params = types.PublishDiagnosticsParams(uri, sent.found, sent.version)
                self.text_document_publish_diagnostics(params)

    def prove(self, project: Project, environment: str | None, told: bool = False) -> None:
        """Asks the worker about one environment of a project. told: says how it went."""
        if self._pause is not None:
            self._pause.cancel()
        revision, (sources, overlays) = project.revision, project.parts(environment)
        tests = project.tests if environment == project.overlay else {}

        def hear(reply: Answer) -> None:
            if project.revision != revision:
                return
            texts = {source.path: source.text for source in (*sources, *overlays)} | tests
            project.proved[environment] = Proved(revision, tuple(reply.found), tuple(reply.examples), texts)
            self.publish(project)
            self._refresh()
            if told:
                self._tell(reply)
            asyncio.get_running_loop().call_soon(self._prove_next)

        self.worker.ask(question(self.points, sources, overlays, tests, BUDGET), hear)

    def _prove_next(self) -> None:
        """Asks about what is open and changed since it was last asked about."""
        for project in (*self.roots.values(), *self.alone.values()):
            for environment in project.unproved() if project.buffers else ():
                self.prove(project, environment)
                return

    def _refresh(self) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)

    def _tell(self, reply: Answer) -> None:
        failed = [one for one in reply.examples if not one.passed]
        kind = types.MessageType.Warning if failed or not reply.examples else types.MessageType.Info
        said = convert.lens_title(reply.examples).removesuffix(": run again")
        if not reply.examples:
            said = "no example was run: the specs have errors, or there are none"
        self.window_show_message(types.ShowMessageParams(kind, f"TIKI: {said}"))


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the editor was told of one document."""

    version: int | None
    found: Sequence[types.Diagnostic]


def initialized(session: Session, params: types.InitializedParams) -> None:
    folders = [folder.uri for folder in session.workspace.folders.values()]
    if not folders and session.workspace.root_uri:
        folders = [session.workspace.root_uri]
    for uri in folders:
        session.add_folder(uri)
    for project in session.roots.values():
        session.publish(project)
    workspace = session.client_capabilities.workspace
    watched = workspace.did_change_watched_files if workspace is not None else None
    if watched is not None and watched.dynamic_registration:
        watchers = [types.FileSystemWatcher(glob_pattern=f"**/*.{ending}") for ending in ("tiki", "md")]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = types.Registration("tiki-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        session.client_register_capability(types.RegistrationParams([registration]))


def opened(session: Session, params: types.DidOpenTextDocumentParams) -> None:
    document = params.text_document
    session.opened(Buffer(document.uri, Text(document.text, session.encoding), document.version))


def changed(session: Session, params: types.DidChangeTextDocumentParams) -> None:
    """A change of a document that is not open, or older than what is known, is left out."""
    project, path = session.project_of(params.text_document.uri)
    buffer = project.buffers.get(path)
    if buffer is None or params.text_document.version < buffer.version:
        logger.warning("a change of %s came out of turn", params.text_document.uri)
        return
    text = buffer.text
    for change in params.content_changes:
        if isinstance(change, types.TextDocumentContentChangePartial):
            ends = convert.position(change.range.start), convert.position(change.range.end)
            text = text.changed(*ends, change.text)
        else:
            text = Text(change.text, session.encoding)
    project.open(path, Buffer(buffer.uri, text, params.text_document.version))
    session.changed(project)


def closed(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    project, path = session.project_of(params.text_document.uri)
    project.close(path)
    session.alone.pop(params.text_document.uri, None)
    session.publish(project)


def files_changed(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    for project in session.roots.values():
        if project.reload():
            session.changed(project)


def folders_changed(session: Session, params: types.DidChangeWorkspaceFoldersParams) -> None:
    for folder in params.event.removed:
        session.remove_folder(folder.uri)
    for folder in params.event.added:
        session.add_folder(folder.uri)
    for project in session.roots.values():
        session.publish(project)


def shut_down(session: Session, params: None) -> None:
    session.worker.stop()
