"""One editor at work: its documents and their versions, when they are checked, and what is sent unasked."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.uris import from_fs_path, to_fs_path

from tiki.editor import convert
from tiki.editor.project import Project, Proved
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
        self.published: dict[str, Sequence[types.Diagnostic]] = {}
        self._soon: dict[Project, asyncio.TimerHandle] = {}
        self._pause: asyncio.TimerHandle | None = None

    def report_server_error(self, error: Exception, source: Any) -> None:
        """A message that makes no sense is the client's mistake, and no reason to show a person a window."""
        logger.error("%s: %s", source, error)

    # Where things are

    @property
    def encoding(self) -> str:
        return str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding) or "utf-16")

    def add_root(self, folder: Path) -> None:
        """The specs in force stand for the workspace folder that they lie in."""
        specs = None if self.specs is None else self.specs.resolve()
        root = specs if specs is not None and specs.is_relative_to(folder) else folder
        if root not in self.roots:
            self.roots[root] = Project(self.points, root, self.overlay)

    def project_of(self, uri: str) -> tuple[Project, str]:
        """The project of a document, and its path there."""
        found = to_fs_path(uri) if uri.startswith("file:") else None
        file = Path(found).resolve() if found else None
        for root, project in sorted(self.roots.items(), key=lambda item: -len(item[0].parts)):
            if file is not None and file.is_relative_to(root):
                return project, file.relative_to(root).as_posix()
        name = file.name if file is not None else unquote(urlsplit(uri).path).rpartition("/")[2] or "untitled"
        path = name if name.endswith((".tiki", ".md")) else f"{name}.tiki"
        if uri not in self.alone:
            self.alone[uri] = Project(self.points)
        return self.alone[uri], path

    def uri_of(self, project: Project, path: str) -> str:
        if project.root is None:
            return next(uri for uri, other in self.alone.items() if other is project)
        return from_fs_path(str(project.root / path)) or ""

    def text_of(self, project: Project, path: str) -> Text:
        buffer = project.buffers.get(path)
        return buffer.text if buffer is not None else Text(project.texts.get(path, ""), self.encoding)

    # When things happen

    def changed(self, project: Project) -> None:
        """Checks soon; asks the solver after a pause."""
        loop = asyncio.get_running_loop()
        if project not in self._soon:
            self._soon[project] = loop.call_later(SOON, self._publish_soon, project)
        if self._pause is not None:
            self._pause.cancel()
        self._pause = loop.call_later(PAUSE, self.prove, project, project.overlay)

    def _publish_soon(self, project: Project) -> None:
        del self._soon[project]
        self.publish(project)

    def publish(self, project: Project) -> None:
        """Sends what changed since it was last sent, and what is about a text that is open."""
        locate = {path: (self.uri_of(project, path), self.text_of(project, path)) for path in project.texts}
        for path, found in project.found().items():
            uri, text = locate.get(path) or (self.uri_of(project, path), Text("", self.encoding))
            failed = [one for one in project.examples(path) or () if not one.passed]
            sent = [convert.diagnostic(one, text, locate) for one in found]
            sent += [convert.failure(one, text) for one in failed]
            self.send(uri, sent, project.buffers[path].version if path in project.buffers else None)

    def send(self, uri: str, found: Sequence[types.Diagnostic], version: int | None) -> None:
        if version is None and self.published.get(uri, []) == found:
            return
        self.published[uri] = found
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def prove(self, project: Project, environment: str | None, told: bool = False) -> None:
        """Asks the worker about one environment, then about the others that are shown. told: says how it went."""
        self._pause = None
        revision, (sources, overlays) = project.revision, project.parts(environment)

        def hear(reply: Answer) -> None:
            if project.revision != revision:
                return
            texts = {source.path: source.text for source in (*sources, *overlays)}
            project.proved[environment] = Proved(revision, tuple(reply.found), tuple(reply.examples), texts)
            self.publish(project)
            self._refresh()
            if told:
                self._tell(reply)
            rest = [
                one for one in project.environments() if getattr(project.proved.get(one), "revision", -1) != revision
            ]
            if rest:
                asyncio.get_running_loop().call_soon(self.prove, project, rest[0])

        self.worker.ask(question(self.points, sources, overlays, BUDGET), hear)

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


def initialized(session: Session, params: types.InitializedParams) -> None:
    folders = [folder.uri for folder in session.workspace.folders.values()]
    if not folders and session.workspace.root_uri:
        folders = [session.workspace.root_uri]
    for uri in folders:
        folder = to_fs_path(uri)
        if folder is not None and Path(folder).is_dir():
            session.add_root(Path(folder).resolve())
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
    project, path = session.project_of(document.uri)
    project.open(path, Text(document.text, session.encoding), document.version)
    session.changed(project)


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
    project.open(path, text, params.text_document.version)
    session.changed(project)


def closed(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    project, path = session.project_of(uri)
    project.close(path)
    if project.root is None:
        session.alone.pop(uri, None)
        session.send(uri, [], None)
    else:
        if path not in project.texts:
            session.send(uri, [], None)
        session.changed(project)


def files_changed(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    for project in session.roots.values():
        project.reload()
        session.changed(project)


def folders_changed(session: Session, params: types.DidChangeWorkspaceFoldersParams) -> None:
    for folder in params.event.added:
        path = to_fs_path(folder.uri)
        if path is not None:
            session.add_root(Path(path).resolve())


def shut_down(session: Session, params: None) -> None:
    session.worker.stop()
