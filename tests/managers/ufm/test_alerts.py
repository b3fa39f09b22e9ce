"""Alerts at UFM: who is asked about which, what becomes of a case when its alert is over, and silences."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tiki
from federation import desk
from federation.clock import SECOND, VirtualClock
from federation.effects import Executor, FreezeFlag, Order
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.points import schemas
from federation.records import Event, Kind, Outcome, decode
from federation.replay import replay
from federation.settings import Settings, shipped_specs
from federation.targets import Alertmanager
from managers.ufm.alert_point import ALERT
from managers.ufm.alerts import REMEMBERED, class_of, snake
from managers.ufm.manager import Ufm

HOUR = 3600.0
NODE = {"node": "gpu-4", "cpus": 8, "memory_total": 1 << 34}


class Silencer:
    """Keeps silences by name, for as long as the order says."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.orders = clock, list[Order]()

    async def do(self, order: Order) -> Outcome:
        self.orders.append(order)
        until = self.clock.now() + round(float(order.args.get("duration", 0)) * SECOND)
        made = {"silence": f"s{len(self.orders)}", "until": until} if order.action == "silence" else {}
        return Outcome("done", "", made, 1.0)

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown")


class Watch:
    """UFM with one node, and an Alertmanager that tells it things."""

    def __init__(self, folder: Path, url: str = "http://127.0.0.1:9093") -> None:
        self.clock = VirtualClock()
        self.settings = Settings(state=folder, alertmanager=Alertmanager(url=url))
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm = Ufm(self.settings)
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        self.bundle = tiki.build(sources, schemas(points_of([Ufm])))
        self.federation = LocalFederation([self.ufm], self.bundle, self.store, self.clock, self.settings)
        self.silencer = Silencer(self.clock)
        doers = {"alert.silence": self.silencer, "alert.unsilence": self.silencer}
        self.executor = Executor(folder / "effects.db", doers, self.clock, FreezeFlag(folder))
        self.federation.executors = {"@ucm": self.executor}
        self.sent = 0
        self.federation.report("ufm", [NODE])

    def tell(self, name: str = "NodeDown", status: str = "firing", began: float = 60.0, **labels: str) -> Any:
        """An alert that began so many seconds ago; the desk's reply."""
        self.sent += 1
        labels = {"alertname": name, "severity": "critical", "instance": "gpu-4:9100", **labels}
        started = datetime.fromtimestamp(self.clock.now() / SECOND - began, UTC).isoformat()
        print_ = f"{hash(tuple(sorted(labels.items()))) & (1 << 64) - 1:016x}"
        data = {"status": status, "fingerprint": print_, "labels": labels, "started": started}
        event = Event(str(self.sent), "alertmanager", "elias.alert", f"{name}#{print_[:8]}", None, data)
        (reply,) = self.federation.post([event])
        return reply if isinstance(reply, desk.Rejected) else reply[0]

    def cases(self) -> list[str]:
        return list(self.federation.desks["ufm"].state.cases)

    async def pass_time(self, seconds: float, step: float = 30.0) -> None:
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.federation.report("ufm", [NODE])
            self.federation.tick()
            await self.federation.act()

    def answer(self, decision: str, action: str, **args: Any) -> Any:
        return self.federation.answer("ufm", decision, action, "ada", **args)

    def rule(self, clauses: str) -> None:
        """Put these in force for alerts in place of what ships."""
        texts = {source.path: source.text for source in self.bundle.sources}
        texts["ufm/alerts.tiki"] = f"## UFM Alert Spec\n- decides: ufm.alert\n{clauses}\n"
        changed = [tiki.Source(path, text) for path, text in texts.items() if not path.endswith("_test.tiki")]
        self.federation.put_in_force(tiki.build(changed, schemas(points_of([Ufm]))))

    def asked(self) -> int:
        return sum(r.header.kind == Kind.ASKED and r.header.point == ALERT.name for r in self.store.read())

    def close(self) -> None:
        self.executor.close()
        self.store.close()


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.close()


async def test_a_person_is_asked_about_a_critical_alert_with_what_is_known_of_the_node(watch: Watch) -> None:
    reply = watch.tell()
    assert (reply.status, watch.cases()) == ("waiting", [reply.id])
    facts = decode(Kind.ASKED, watch.store.decision(reply.id)[0].body).facts
    told = {name: facts[name] for name in ("alert", "about", "node_known", "node_status", "firing", "same", "age")}
    assert told == {
        "alert": "node_down",
        "about": "node",
        "node_known": True,
        "node_status": "up",
        "firing": 1,
        "same": 1,
        "age": 60.0,
    }


@pytest.mark.parametrize(
    ("labels", "clause"),
    [
        ({"severity": "info"}, "for_information"),
        ({"severity": "warning"}, "may_pass"),
        ({"name": "EliasCasesWait"}, "about_elias"),
    ],
)
async def test_what_needs_nobody_asks_nobody(watch: Watch, labels: dict[str, str], clause: str) -> None:
    reply = watch.tell(**labels)
    assert (reply.action, reply.clause, watch.cases()) == ("hold", clause, [])


async def test_the_same_alert_told_again_opens_no_second_case(watch: Watch) -> None:
    first = watch.tell()
    for _ in range(3):
        await watch.pass_time(300)
        assert watch.tell().action == "hold"
    assert watch.cases() == [first.id]


async def test_alerts_that_differ_in_a_label_are_two(watch: Watch) -> None:
    watch.tell(gpu="0")
    watch.tell(gpu="1")
    assert len(watch.cases()) == 2
    assert {alert["labels"]["gpu"] for alert in watch.ufm.view(watch.clock.now())["alerts"]} == {"0", "1"}


async def test_a_warning_that_stays_is_asked_about_although_it_is_not_told_again(watch: Watch) -> None:
    watch.tell(severity="warning", began=0)
    await watch.pass_time(270)
    assert watch.cases() == []
    before = watch.asked()
    await watch.pass_time(60)
    assert (len(watch.cases()), watch.asked() - before) == (1, 1)
    await watch.pass_time(600)
    assert watch.asked() - before == 1


async def test_when_the_alert_is_over_its_case_is_closed_and_nothing_is_done(watch: Watch) -> None:
    decision = watch.tell().id
    assert watch.tell(status="resolved").action == "hold"
    assert watch.cases() == []
    records = {r.header.kind: r.body for r in watch.store.decision(decision)}
    assert b'"action":"hold"' in records["answered"]
    assert b"the alert is over" in records["answered"]
    assert b'"tier":"operator"' not in records["answered"]
    with pytest.raises(Exception, match="no open case"):
        watch.answer(decision, "hold")
    assert watch.ufm.view(watch.clock.now())["alerts"] == []
    assert watch.tell().status == "waiting"


async def test_a_person_may_silence_an_alert_from_its_case_for_a_time(watch: Watch) -> None:
    decision = watch.tell().id
    watch.answer(decision, "silence", duration=4 * HOUR)
    await watch.federation.act()
    (order,) = watch.silencer.orders
    assert (order.args["duration"], order.payload["labels"]["instance"]) == (4 * HOUR, "gpu-4:9100")
    assert watch.tell().clause == "silenced"
    await watch.pass_time(5 * HOUR, step=300)
    assert watch.cases() == []
    assert watch.tell().status == "waiting"


async def test_a_rule_that_silences_asks_a_person_first(watch: Watch) -> None:
    watch.rule("- otherwise: silence(1h)")
    assert (watch.tell().action, watch.silencer.orders) == ("silence", [])
    await watch.federation.act()
    assert watch.silencer.orders == []
    (approval,) = watch.federation.desks["gate"].state.cases
    watch.federation.answer("gate", approval, "approve")
    await watch.federation.act()
    assert len(watch.silencer.orders) == 1


async def test_a_silence_is_taken_back(watch: Watch) -> None:
    watch.answer(watch.tell().id, "silence", duration=86_400.0)
    await watch.federation.act()
    watch.rule("- when silenced == true: unsilence\n- otherwise: hold")
    assert watch.tell().action == "unsilence"
    (approval,) = watch.federation.desks["gate"].state.cases
    watch.federation.answer("gate", approval, "approve")
    await watch.federation.act()
    assert [(order.action, order.args) for order in watch.silencer.orders[1:]] == [("unsilence", {"silence": "s1"})]
    assert watch.tell().action == "hold"


async def test_without_an_alertmanager_nothing_can_be_silenced(tmp_path: Path) -> None:
    watch = Watch(tmp_path, url="")
    decision = watch.tell().id
    with pytest.raises(Exception, match="was not offered"):
        watch.answer(decision, "silence", duration=HOUR)
    watch.close()


async def test_an_alert_of_which_nobody_speaks_for_a_day_fires_no_more(watch: Watch) -> None:
    watch.tell("First")
    await watch.pass_time(86_400 + 60, step=3600)
    watch.tell("Second")
    assert [alert["labels"]["alertname"] for alert in watch.ufm.view(watch.clock.now())["alerts"]] == ["Second"]
    assert len(watch.cases()) == 1


async def test_an_alert_that_is_told_of_for_days_is_not_forgotten(watch: Watch) -> None:
    watch.tell()
    for _ in range(12):
        await watch.pass_time(4 * HOUR, step=HOUR)
        watch.tell()
    (alert,) = watch.ufm.view(watch.clock.now())["alerts"]
    assert alert["labels"]["alertname"] == "NodeDown"


async def test_what_fires_is_counted_by_name(watch: Watch) -> None:
    for number in range(3):
        watch.tell(severity="info", gpu=str(number))
    watch.tell("Other", severity="info")
    watch.tell(severity="info", gpu="0", status="resolved")
    decision = watch.tell(severity="info", gpu="9").id
    facts = decode(Kind.ASKED, watch.store.decision(decision)[0].body).facts
    assert (facts["firing"], facts["same"]) == (4, 3)


async def test_a_silenced_alert_does_not_keep_the_clock_busy(watch: Watch) -> None:
    watch.answer(watch.tell().id, "silence", duration=HOUR)
    await watch.federation.act()
    assert watch.ufm.alerts.wake() is None


async def test_a_storm_is_bounded(watch: Watch) -> None:
    for number in range(REMEMBERED + 5):
        watch.tell(severity="info", gpu=str(number))
    assert len(watch.ufm.state.alerts.firing) == REMEMBERED
    assert watch.tell(severity="info").status == "answered"


async def test_a_manager_that_is_made_anew_knows_what_fires_and_a_replay_agrees(watch: Watch) -> None:
    watch.tell("One")
    watch.answer(watch.tell("Two").id, "silence", duration=HOUR)
    await watch.federation.act()
    watch.tell("Three")
    watch.tell("Three", status="resolved")
    again = desk.Desk(Ufm(watch.settings), watch.bundle, watch.store)
    for record in watch.store.read():
        again.absorb(record)
    assert again.settle(watch.clock.now()) == []
    assert again.manager.state.alerts == watch.ufm.state.alerts
    restored = desk.Desk(Ufm(watch.settings), watch.bundle, watch.store)
    restored.restore(again.snapshot())
    assert restored.manager.state.alerts == watch.ufm.state.alerts
    assert replay(watch.store, points_of([Ufm])).identical


@pytest.mark.parametrize("data", [{}, {"status": "odd"}, {"status": "firing", "labels": 3}])
async def test_what_is_no_alert_is_refused_with_a_cure(watch: Watch, data: dict[str, Any]) -> None:
    (reply,) = watch.federation.post([Event("1", "me", "elias.alert", "x", None, data)])
    assert isinstance(reply, desk.Rejected)
    assert (reply.code, "/v1/alertmanager" in reply.cure) == ("bad-alert", True)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("NodeDown", "node_down"),
        ("GPUXid79", "gpu_xid79"),
        ("HTTPErrorRate", "http_error_rate"),
        ("disk-full", "disk_full"),
        ("42", ""),
        ("", ""),
        ("Größe", "gr_e"),
    ],
)
def test_a_name_is_written_as_a_spec_writes_it(name: str, word: str) -> None:
    assert snake(name) == word


@pytest.mark.parametrize(
    ("word", "about"),
    [
        ("gpu_memory_full", "gpu"),
        ("node_filesystem_full", "storage"),
        ("infiniband_link_down", "network"),
        ("host_rebooted", "node"),
        ("elias_cases_wait", "elias"),
        ("watchdog", "other"),
    ],
)
def test_an_alert_is_about_what_its_name_says(word: str, about: str) -> None:
    assert class_of(word) == about
