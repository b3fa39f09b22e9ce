"""A federation without Ray behind the real application, served by a real uvicorn on a free port."""

import asyncio
import copy
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State

import tiki
from federation.clock import VirtualClock
from federation.effects import FreezeFlag
from federation.errors import Bug, Refused, Temporary
from federation.gate import freeze_entry
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission, Manager
from federation.points import DecisionPoint, Does, Mode
from federation.policy.promotions import Promotion
from federation.records import Access, Event, Kind, encode
from federation.records import Mode as ModeBody
from federation.settings import Listen, Settings, shipped_specs
from managers.uim import tokens
from managers.uim.api import app
from managers.uim.api.context import Context
from managers.uim.cases.claims import CaseUpdate
from managers.uim.manager import Uim
from managers.ulm.manager import Ulm

_events = msgspec.msgpack.Decoder(list[Event])

LOAD = DecisionPoint(
    tiki.Point(
        name="demo.load",
        version=1,
        doc="Is this too much?",
        facts=(
            tiki.Fact(name="load", type=tiki.Type.PERCENT, doc="how busy it is"),
            tiki.Fact(name="gpu", type=tiki.Type.PERCENT, doc="how busy its GPU is"),
        ),
        actions=(tiki.Action(name="relieve", doc="take something away"), tiki.Action(name="hold", doc="do nothing")),
        terminal="hold",
        trigger="every",
    ),
    ("test.load",),
    {"relieve": Does("none", Mode.OBSERVE)},
)

SPEC = """## DEMO Load Spec
- decides: demo.load
- limit: 80%

- high: when load > limit: relieve
- odd: when gpu > 90%: consult [relieve, hold]
- otherwise: hold
"""


NODE = {
    "name": "gpu-1",
    "status": "up",
    "report": {
        "cpu": 37.0,
        "cpus": 16,
        "memory": 81.5,
        "memory_total": 128 * 10**9,
        "disk": 12.0,
        "disk_free": 900 * 10**9,
        "gpu": 93.0,
        "gpus": [{"name": "RTX 5060 Ti", "busy": 93.0, "memory_total": 16 * 10**9, "memory_free": 2 * 10**9}],
    },
}


class Demo(Manager):
    name = "demo"
    points = (LOAD,)

    class State(msgspec.Struct):
        pass

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        if event.data.get("load") == 13:
            raise ZeroDivisionError("a bug for the tests")
        return {"gpu": None, **event.data}


class LocalLink:
    """What the actors would answer, from one process; `away` holds the names of those that are being restarted."""

    def __init__(self, federation: LocalFederation) -> None:
        self.federation = federation
        self.away: set[str] = set()
        self.loads: list[int] = []
        self.lock = threading.Lock()

    async def call(self, child: str, method: str, *args: Any, patience: float = 10.0) -> Any:
        if child in self.away:
            raise Temporary(f"{child} is being restarted")
        answers = getattr(self, f"on_{method}", None)
        if answers is None or (child == "ulm" and child not in self.federation.desks):
            raise Refused("no-manager", f"there is no {child} in this house", cure="ask a cluster that runs")
        return await asyncio.to_thread(self._locked, answers, child, *args)

    def _locked(self, method: Callable[..., Any], *args: Any) -> Any:
        with self.lock:
            try:
                return method(*args)
            except ZeroDivisionError as error:
                raise Bug(str(error)) from None

    def on_submit(self, child: str, raw: bytes) -> bytes:
        events = _events.decode(raw)
        self.loads.append(len(events))
        return msgspec.msgpack.encode(self.federation.post(events))

    def on_say(self, child: str, raw: bytes) -> None:
        uim = self.federation.desks[child].manager
        assert isinstance(uim, Uim)
        self.federation.note(uim.say(msgspec.json.decode(raw, type=CaseUpdate), self.federation.clock.now()), child)

    def on_modes(self, child: str) -> dict[str, dict[str, str]]:
        return self.federation.desks[child].state.modes

    def on_answer(self, child: str, *given: Any) -> bytes:
        decision, action, args, by, words = given
        return encode(self.federation.answer(child, decision, action, by, words, **args))

    def on_report_outcomes(self, child: str, outcomes: list[tuple[str, float, str]], by: str) -> list[Refused | None]:
        return self.federation.report_outcomes(child, outcomes, by)

    def on_health(self, child: str) -> dict[str, Any]:
        return {"pid": 7, "node": "here", "cpu_s": 1.5, "rss": 80_000_000, "events": 3}

    def on_ping(self, child: str) -> dict[str, Any]:
        return {"pid": 7, "node": "here"}

    def on_view(self, child: str) -> dict[str, Any]:
        if child == "ufm":
            return {"nodes": [NODE]}
        if child not in self.federation.desks:
            raise Temporary(f"{child} is being restarted")
        return self.federation.desks[child].manager.view(self.federation.clock.now())

    def on_tree(self, child: str) -> list[Any]:
        from federation.runtime.root import Member

        now = self.federation.clock.now()
        above = [Member("elias", "", "running", now, 0, 0, ""), Member("managers", "elias", "running", now, 0, 0, "")]
        return [*above, *(Member(n, "managers", "running", now, 0, 7, "here") for n in self.federation.desks)]

    def on_bundle(self, child: str) -> dict[str, Any]:
        bundle = self.federation.desks["demo"].bundle
        return {"digest": bundle.digest, "sources": {s.path: s.text for s in bundle.sources}, "problem": {}}

    def on_next_step(self, child: str, point: str) -> int:
        ulm = self.federation.desks[child].manager
        assert isinstance(ulm, Ulm)
        return ulm.state.trials.lines[point].step + 1

    def on_roll_back(self, child: str, point: str, number: int, by: str, reason: str) -> dict[str, Any]:
        ulm = self.federation.desks[child].manager
        assert isinstance(ulm, Ulm)
        now = self.federation.clock.now()
        said = ulm.trials.back(ulm.state.trials, point, by=by, reason=reason, at=now, number=number)
        self.federation.note(said, child)
        assert isinstance(said.body, Promotion)
        champion = ulm.state.trials.lines[point].champion
        return {"point": point, "policy": said.body.challenger, "champion": champion, "stage": "", "share": 0.0}

    def on_set_mode(self, child: str, action: str, mode: str, by: str) -> None:
        if action != "demo.load/relieve":
            raise Refused("no-action", f"`{action}` is not an action with an effect", cure="one of: demo.load/relieve")
        self.federation.note(Emission(Kind.MODE, "", "", "", ModeBody(action, mode, by)))

    def on_set_freeze(self, child: str, on: bool, by: str, reason: str) -> bool:
        FreezeFlag(self.federation.settings.state).set(on, by)
        self.federation.note(freeze_entry(on, by, reason))
        return True


class House:
    """A running API: its address, its token, and the federation behind it. others: managers beside the demo, with the
    specs that ship for them and for the gate."""

    def __init__(self, state: Path, *others: type[Manager], **settings: Any) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        self.settings = Settings(state=state, listen=Listen(port=port), **settings)
        self.clock = VirtualClock()
        self.store = Store.open(str(state / "ledger.db"))
        self.points = points_of([Demo, Uim, *others])
        self.uim = Uim(self.settings, self.points)
        folders = [manager.name for manager in others] + (["gate"] if others else [])
        texts = sources() + [t for name in folders for t in tiki.read_directory(shipped_specs() / name, f"{name}/")]
        bundle = tiki.build(texts, {name: p.schema for name, p in self.points.items()})
        managers = [Demo(self.settings), self.uim, *(other(self.settings) for other in others)]
        self.federation = LocalFederation(managers, bundle, self.store, self.clock, self.settings)
        self.link = LocalLink(self.federation)
        self.token = tokens.make(state)
        self.refused: list[str] = []
        self.context = context = Context(
            settings=self.settings,
            points=self.points,
            children=("gate", "demo", "uim", *(other.name for other in others)),
            link=self.link,
            store=self.store,
            clock=self.clock,
            token=self.token,
            logs=_logs,
            book=lambda: self.uim.book,
            refused=self.refused.append,
            blocked=lambda address: address in self.uim.state.blocked,
            audit=self.audit,
        )
        options: dict[str, Any] = {"lifespan": "off", "log_config": None, "ws": "none", "proxy_headers": False}
        with patch.object(app, "routes", _routes):
            config = uvicorn.Config(app.create(context), **options)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{port}"
        until(lambda: self.server.started)

    async def audit(self, word: Access) -> None:
        with self.link.lock:
            self.federation.note(Emission(Kind.ACCESS, "", "", "", word))

    def client(self, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return httpx.Client(base_url=self.url, headers=headers, **({"timeout": 60} | options))

    @contextmanager
    def browser(self, name: str = "", password: str = "") -> Iterator[httpx.Client]:
        """A browser that is signed in: by name, or without one as the owner of the state folder."""
        given = {"name": name, "password": password} if name else {"token": self.token}
        with httpx.Client(base_url=self.url, headers={"accept": "text/html", "origin": self.url}, timeout=60) as made:
            assert made.post("/login", data=given).status_code == 303
            yield made

    def csrf(self, browser: httpx.Client) -> str:
        """What the forms of this browser's session carry."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get("/account").text)
        assert found
        return found[1]

    def close(self) -> None:
        self.context.feed.close()
        self.server.should_exit = True
        self.thread.join(10)
        self.context.access.close()
        self.store.close()


_make_routes = app.routes


@cache
def _made_routes() -> FastAPI:
    """They hang on nothing but the context, and FastAPI takes half of the time of a new house for them."""
    return _make_routes(None)


def _routes(context: Context) -> FastAPI:
    """A copy of those of the first house, with a context of its own."""
    made = copy.copy(_made_routes())
    made.state = State({"context": context})
    return made


async def _logs(job: str) -> AsyncIterator[str]:
    for line in ("one\n", "two\n"):
        yield f"{job} {line}"


def sources() -> list[tiki.Source]:
    shipped = shipped_specs() / "uim" / "access.tiki"
    return [tiki.Source("demo.tiki", SPEC), tiki.Source("uim/access.tiki", shipped.read_text())]


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(house: House) -> Iterator[httpx.Client]:
    with house.client() as made:
        yield made


def event(id: str = "1", **more: Any) -> dict[str, Any]:
    base = {
        "specversion": "1.0",
        "id": id,
        "source": "tests",
        "type": "test.load",
        "subject": "n1",
        "data": {"load": 50},
    }
    return base | more
