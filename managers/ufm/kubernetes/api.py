"""Requests to the API server of Kubernetes: the only place where ELIAS speaks with it, through its official client.

Answers are taken as they come, bounded, and read into what ELIAS needs of them: the client's own models check each of a
pod's hundreds of fields, most of which are none of its business.
"""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from math import ceil
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from federation.errors import Refused, Temporary
from federation.settings import KubernetesSettings
from managers.ufm.foreign.doing import Unanswered
from managers.ufm.kubernetes.mirror import Mirror, failure
from managers.ufm.kubernetes.node import KUBERNETES, MARK, WE, KubeNode, KubePod, Picture
from managers.ufm.kubernetes.objects import Listed, Node, Pod, Status
from managers.ufm.kubernetes.reading import ENDED, node_of, picture, pod_of

MOST = 64 << 20  # bytes of an answer, and of a line of a watch
ALIVE = ",".join(f"status.phase!={phase}" for phase in ENDED)
"""Field selector of pods that hold something."""

T = TypeVar("T")
V = TypeVar("V")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_MERGE = "application/merge-patch+json"


class Kept(Temporary):
    """An eviction that is not allowed now (HTTP 429): by a budget, or because the API server is busy. after: seconds
    until it may be asked again; 0: not said."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Kubernetes:
    """A cluster, as its API server tells of it."""

    source = KUBERNETES

    def __init__(self, settings: KubernetesSettings) -> None:
        self.settings = settings
        only = "ELIAS only reads this Kubernetes: `kubernetes.update` is off"
        self.readonly = "" if settings.update else only
        self._client: Any = None
        self._core_api: Any = None
        self._connecting = asyncio.Lock()
        self._nodes = Mirror(_Feed(self, "node", label_selector=settings.nodes or None), Node, node_of)
        self._pods = Mirror(_Feed(self, "pod_for_all_namespaces", field_selector=ALIVE), Pod, pod_of)

    async def look(self) -> Picture:
        """The nodes as they are; after the first time, at the end of a watch of `every` seconds. Raises Temporary where
        Kubernetes cannot be asked."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._nodes.follow(self.settings.every))
                both.create_task(self._pods.follow(self.settings.every))
        except* Temporary as failed:
            await self.close()  # a token may have been changed, or a certificate
            raise _first(failed) from None
        return await asyncio.to_thread(picture, list(self._nodes.objects.values()), list(self._pods.objects.values()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()
            await asyncio.sleep(0)  # what was cut is closed in the loop's next turn

    async def node(self, name: str) -> KubeNode:
        if not _NAME.fullmatch(name):
            raise Refused("no-node", f"`{name[:253]}` is not the name of a node")
        status, body = await self._ask("read_node", name=name)
        if status == HTTPStatus.NOT_FOUND:
            raise Refused("no-node", f"Kubernetes has no node `{name}`")
        return _made(node_of, _read(status, body, Node))

    async def drain(self, node: KubeNode, decision: str) -> None:
        """A cordon, which says whose it is."""
        await self._patch(node, {"annotations": {MARK: decision}}, unschedulable=True)

    async def resume(self, node: KubeNode) -> None:
        await self._patch(node, {"annotations": {MARK: None}}, unschedulable=None)

    def drained(self, node: KubeNode, decision: str) -> bool:
        return node.unschedulable and node.ours and node.mark == decision

    async def pods(self, node: str) -> list[KubePod]:
        """On this node, those that hold something. Raises Temporary."""
        words: dict[str, Any] = {"field_selector": f"spec.nodeName={node},{ALIVE}"}
        status, body = await self._ask("list_pod_for_all_namespaces", **words)
        return [_made(pod_of, pod) for pod in _read(status, body, Listed[Pod]).items or ()]

    async def evict(self, pod: KubePod) -> bool:
        """Asks that a pod may end; false: it is gone already. Raises Kept while it is not allowed, Temporary where
        it cannot be asked or is not permitted."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},  # another one may have taken its name
        }
        where = {"name": pod.name, "namespace": pod.namespace}
        status, body = await self._ask("create_namespaced_pod_eviction", **where, body=eviction, writes=True)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            return False
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            said = _said(status, body)
            causes = "; ".join(cause.message for cause in said.details.causes) or said.message
            raise Kept(causes[:300], said.details.retry_after_seconds)
        _checked(status, body)
        return True

    async def _patch(self, node: KubeNode, meta: dict[str, Any], *, unschedulable: bool | None) -> None:
        """Only if the node is as it was when it was looked at: what somebody has changed since is looked at first.
        Raises Unanswered where it may have been done, Temporary where it was not."""
        body = {"metadata": {"resourceVersion": node.version, **meta}, "spec": {"unschedulable": unschedulable}}
        words = {"name": node.name, "body": body, "field_manager": WE, "_content_type": _MERGE}
        status, answer = await self._ask("patch_node", **words, writes=True)
        if status == HTTPStatus.CONFLICT:
            raise Temporary("somebody else changed the node at the same time; nothing was done")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unanswered(str(failure(_said(status, answer))))
        _checked(status, answer)

    async def _ask(self, method: str, *, writes: bool = False, **words: Any) -> tuple[int, bytes]:
        """The code and the body of an answer."""
        async with self.answer(method, self.settings.timeout, writes=writes, **words) as response:
            return response.status, await _whole(response)

    @asynccontextmanager
    async def answer(
        self, method: str, seconds: float, *, writes: bool = False, **words: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that begins and ends in so many seconds. Raises Temporary; of what writes, Unanswered where the API
        server may have it."""
        words = {name: value for name, value in words.items() if value is not None}
        words["_request_timeout"] = seconds + 1.0  # the client's own would be five minutes
        core = await self._core()
        try:
            async with asyncio.timeout(seconds):
                response = await getattr(core, f"{method}_without_preload_content")(**words)
                try:
                    yield response
                    response.release()
                except BaseException:
                    _cut(response)
                    raise
        except aiohttp.ClientConnectorError as error:
            raise Temporary(f"the API server cannot be reached: {error}") from None
        except TimeoutError:
            raise (Unanswered if writes else Temporary)(f"no answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            lost = f"the API server was lost: {error or type(error).__name__}"
            raise (Unanswered if writes else Temporary)(lost) from None

    async def _core(self) -> Any:
        """The client's requests about nodes and pods."""
        async with self._connecting:
            if self._client is None:
                module = await asyncio.to_thread(library, "client")  # it takes seconds to read, once in a process
                self._client = await self._connected(module)
                self._core_api = module.CoreV1Api(self._client)
            return self._core_api

    async def _connected(self, module: Any) -> Any:
        config, settings = module.Configuration(), self.settings
        where = str(settings.kubeconfig) if settings.kubeconfig else "the service account of this pod"
        try:
            if settings.kubeconfig is None:
                library("config").load_incluster_config(client_configuration=config)
            else:
                await library("config").load_kube_config(
                    str(settings.kubeconfig), settings.context or None, config, persist_config=False
                )
            return module.ApiClient(config)
        except Exception as error:  # whatever it stumbles over; its words may hold what is secret in the file
            raise Temporary(f"{where} cannot be used ({type(error).__name__}); `kubectl get nodes` says why") from None


class _Feed:
    """Lists and watches of one kind. words: selectors."""

    def __init__(self, api: Kubernetes, kind: str, **words: Any) -> None:
        self._api = api
        self._method = f"list_{kind}"
        self._words = words

    async def page(self, words: Any) -> bytes:
        status, body = await self._api._ask(self._method, **self._words, **words)
        return _checked(status, body)

    async def watch(self, words: Any, seconds: float, each: Callable[[bytes], None]) -> None:
        words = {**self._words, **words, "timeout_seconds": ceil(seconds)}
        async with self._api.answer(self._method, seconds + self._api.settings.timeout, **words) as response:
            if response.status != HTTPStatus.OK:
                _checked(response.status, await _whole(response))
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if max(map(len, (*lines, rest))) > MOST:
                    raise Temporary(f"the API server sent a line of more than {MOST >> 20} MiB")
                for line in filter(None, lines):
                    each(line)


def library(part: str) -> Any:
    """A module of the official client. Raises Temporary where it is not installed."""
    try:
        return importlib.import_module(f"kubernetes.aio.{part}")
    except ImportError:
        raise Temporary("Kubernetes' client is not installed: `pip install 'elias[kubernetes]'`") from None


def _cut(response: aiohttp.ClientResponse) -> None:
    """Ends an answer that goes on, at once: a goodbye by TLS would outlive whoever gave up."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MOST:
            raise Temporary(f"the API server sent more than {MOST >> 20} MiB at once")
    return bytes(found)


def _checked(status: int, body: bytes) -> bytes:
    """The body of what went well. Raises Temporary with the API server's words, Expired where it is too old."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return body
    raise failure(_said(status, body))


def _said(status: int, body: bytes) -> Status:
    try:
        said = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):  # words of a proxy, or of an API server that is too busy
        said = Status(message=body[:200].decode(errors="replace").strip())
    return msgspec.structs.replace(said, code=status)


def _read(status: int, body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(_checked(status, body), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Temporary(f"what the API server sent cannot be read: {error}") from None


def _made(read: Callable[[T], V], item: T) -> V:
    try:
        return read(item)
    except ValueError as error:
        raise Temporary(f"an object cannot be read: {error}") from None


def _first(failed: BaseExceptionGroup[Temporary]) -> Temporary:
    found: Any = failed
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, Temporary) else Temporary(str(found))
