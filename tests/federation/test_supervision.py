from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.clock import SECOND
from federation.errors import Refused
from federation.supervision import (
    Backoff,
    Child,
    Exceeded,
    Order,
    Start,
    Status,
    Stop,
    Strategy,
    Supervisor,
    Tree,
    members,
)

NOW = 1_700_000_000 * SECOND


def family(strategy: Strategy, intensity: int = 3, **more: object) -> Supervisor:
    return Supervisor("top", strategy, intensity, 60, (Child("a"), Child("b"), Child("c")), **more)  # type: ignore[arg-type]


def running(spec: Supervisor) -> Tree:
    tree = Tree(spec)
    for order in tree.start(NOW):
        assert isinstance(order, Start)
        tree.started(order.name, NOW)
    return tree


def crash(tree: Tree, name: str, now: int) -> list[Order]:
    """The child ends, and whatever is started for it serves at once."""
    orders = tree.exited(name, now)
    for order in orders:
        if isinstance(order, Start):
            tree.started(order.name, now)
    return orders


def test_children_start_in_order_and_stop_in_reverse() -> None:
    tree = Tree(family("one_for_one"))
    assert tree.start(NOW) == [Start("a", NOW), Start("b", NOW), Start("c", NOW)]
    assert tree.stop(NOW) == [Stop("c"), Stop("b"), Stop("a")]
    assert tree.exited("b", NOW) == []


@pytest.mark.parametrize(
    ("strategy", "orders"),
    [
        ("one_for_one", [Start("b", NOW)]),
        ("rest_for_one", [Stop("c"), Start("b", NOW), Start("c", NOW)]),
        ("one_for_all", [Stop("c"), Stop("a"), Start("a", NOW), Start("b", NOW), Start("c", NOW)]),
    ],
)
def test_a_crash_concerns_the_children_that_the_strategy_names(strategy: Strategy, orders: list[Order]) -> None:
    assert running(family(strategy)).exited("b", NOW) == orders


def test_a_hung_child_is_stopped_before_it_is_replaced() -> None:
    assert running(family("one_for_one")).exited("b", NOW, "hung") == [Stop("b"), Start("b", NOW)]


@pytest.mark.parametrize(
    ("restart", "reason", "again"),
    [
        ("permanent", "normal", True),
        ("permanent", "crash", True),
        ("transient", "normal", False),
        ("transient", "crash", True),
        ("temporary", "normal", False),
        ("temporary", "crash", False),
    ],
)
def test_the_restart_type_says_whether_an_end_is_an_end(restart: str, reason: str, again: bool) -> None:
    tree = running(Supervisor("top", "one_for_one", 3, 60, (Child("a", restart),)))  # type: ignore[arg-type]
    assert tree.exited("a", NOW, reason) == ([Start("a", NOW)] if again else [])  # type: ignore[arg-type]
    assert tree.state("a").status is (Status.STARTING if again else Status.FINISHED)


def test_a_temporary_child_ends_with_its_group_and_is_not_brought_back() -> None:
    tree = running(Supervisor("top", "one_for_all", 3, 60, (Child("a"), Child("b", "temporary"))))
    assert tree.exited("a", NOW) == [Stop("b"), Start("a", NOW)]


def test_the_first_restart_is_immediate_and_later_ones_back_off() -> None:
    tree = running(family("one_for_one", intensity=6, backoff=Backoff(initial=1, factor=2, maximum=3)))
    delays = [order.at - NOW for _ in range(5) for order in crash(tree, "a", NOW) if isinstance(order, Start)]
    assert delays == [0, 1 * SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND]
    assert crash(tree, "b", NOW) == [Start("b", NOW)], "another child has its own back-off"


@given(st.integers(0, 10_000), st.floats(0, 100), st.floats(1, 100), st.floats(0, 1000))
def test_backoff_never_exceeds_its_maximum(earlier: int, initial: float, factor: float, more: float) -> None:
    backoff = Backoff(initial, factor, initial + more)
    assert 0 <= backoff.delay(earlier) <= round((initial + more) * SECOND) + 1


def test_restarts_that_left_the_window_count_no_more() -> None:
    tree = running(family("one_for_one", intensity=1))
    for minute in range(5):
        now = NOW + minute * 60 * SECOND
        assert crash(tree, "a", now) == [Start("a", now)]


def test_too_many_restarts_stop_the_siblings_and_say_who_ended_last() -> None:
    tree = running(family("one_for_one", intensity=1))
    crash(tree, "a", NOW)
    assert tree.exited("b", NOW + SECOND) == [Stop("c"), Stop("a"), Exceeded("top", "b", 1, 60)]
    assert {s.status for s in tree.states()} == {Status.GAVE_UP, Status.STOPPED}
    assert tree.start(NOW) == [], "only a person starts them again"


def test_a_person_resumes_with_a_clean_count() -> None:
    tree = running(family("one_for_one", intensity=1))
    crash(tree, "a", NOW)
    crash(tree, "a", NOW)
    assert tree.resume("top", NOW) == [Start("a", NOW), Start("b", NOW), Start("c", NOW)]
    assert tree.resume("top", NOW) == []
    assert crash(tree, "a", NOW) == [Start("a", NOW)]


def nested(escalate: bool) -> Supervisor:
    inner = Supervisor("inner", "one_for_one", 1, 60, (Child("x"), Child("y")), escalate=escalate)
    return Supervisor("top", "rest_for_one", 1, 60, (Child("a"), inner, Child("z")))


def test_a_supervisor_that_gives_up_is_restarted_by_its_parent() -> None:
    tree = running(nested(escalate=True))
    crash(tree, "x", NOW)
    assert crash(tree, "x", NOW) == [Stop("y"), Stop("z"), Start("x", NOW), Start("y", NOW), Start("z", NOW)]
    assert crash(tree, "x", NOW) == [Start("x", NOW)], "a supervisor made anew counts anew"
    assert crash(tree, "x", NOW) == [Stop("y"), Stop("z"), Stop("a"), Exceeded("top", "x", 1, 60)]


def test_a_supervisor_that_does_not_escalate_gives_up_alone() -> None:
    tree = running(nested(escalate=False))
    crash(tree, "x", NOW)
    assert crash(tree, "x", NOW) == [Stop("y"), Exceeded("inner", "x", 1, 60)]
    assert tree.state("a").status is Status.RUNNING
    assert crash(tree, "a", NOW) == [Stop("z"), Start("a", NOW), Start("z", NOW)], "it stays down until resumed"
    assert tree.resume("inner", NOW) == [Start("x", NOW), Start("y", NOW)]


def test_what_had_given_up_stays_down_in_a_tree_made_anew() -> None:
    assert Tree(nested(escalate=False)).start(NOW, gave_up=["inner"]) == [Start("a", NOW), Start("z", NOW)]


def test_resuming_below_a_supervisor_that_gave_up_names_that_one() -> None:
    tree = running(nested(escalate=True))
    for _ in range(4):
        crash(tree, "x", NOW)
    with pytest.raises(Refused, match="resume top"):
        tree.resume("inner", NOW)


def test_members_come_and_go_while_the_tree_runs() -> None:
    tree = running(family("one_for_one"))
    assert tree.add("top", Child("d"), NOW) == [Start("d", NOW)]
    assert tree.remove("d", NOW) == [Stop("d")]
    assert tree.remove("a", NOW) == [Stop("a")]
    assert [s.name for s in tree.states()] == ["top", "b", "c"]


def test_a_start_that_was_revoked_is_not_believed() -> None:
    tree = Tree(family("one_for_one"))
    tree.start(NOW)
    tree.stop(NOW)
    tree.started("a", NOW)
    assert tree.state("a").status is Status.STOPPED


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tree(Supervisor("top", "one_for_one", 1, 60, (Child("a"), Child("a")))),
        lambda: running(family("one_for_one")).add("top", Child("a"), NOW),
        lambda: running(family("one_for_one")).add("a", Child("d"), NOW),
        lambda: running(family("one_for_one")).exited("nobody", NOW),
        lambda: running(family("one_for_one")).exited("top", NOW),
        lambda: running(family("one_for_one")).remove("top", NOW),
        lambda: family("one_for_some"),  # type: ignore[arg-type]
        lambda: family("one_for_one", intensity=-1),
        lambda: Supervisor("top", "one_for_one", 1, 0, ()),
        lambda: Child("a", "sometimes"),  # type: ignore[arg-type]
        lambda: Backoff(initial=2, maximum=1),
    ],
)
def test_a_tree_that_makes_no_sense_is_refused_with_a_cure(make: object) -> None:
    with pytest.raises(Refused) as refused:
        make()  # type: ignore[operator]
    assert refused.value.cure


@st.composite
def specs(draw: st.DrawFn) -> Supervisor:
    names = (f"n{i}" for i in range(100))

    def supervisor(depth: int) -> Supervisor:
        return Supervisor(
            next(names),
            draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
            draw(st.integers(0, 3)),
            draw(st.sampled_from([1.0, 10.0])),
            tuple(member(depth - 1) for _ in range(draw(st.integers(1, 3)))),
            escalate=draw(st.booleans()),
        )

    def member(depth: int) -> Child | Supervisor:
        if depth and draw(st.booleans()):
            return supervisor(depth)
        return Child(next(names), draw(st.sampled_from(["permanent", "permanent", "transient", "temporary"])))

    return supervisor(2)


def lives(spec: Supervisor, data: st.DataObject) -> Iterator[tuple[int, str, list[Order]]]:
    """A life of the tree, step by step: the time, the process that ended ("" if none did), and the orders."""
    tree = Tree(spec)
    now = NOW
    children = [m.name for m in members(spec) if isinstance(m, Child)]
    supervisors = [m.name for m in members(spec) if isinstance(m, Supervisor)]
    yield now, "", tree.start(now)
    for _ in range(data.draw(st.integers(0, 25))):
        now += data.draw(st.integers(0, 3 * SECOND))
        name = data.draw(st.sampled_from(children))
        match data.draw(st.sampled_from(["started", "exited", "exited", "resume"])):
            case "started":
                tree.started(name, now)
            case "exited":
                was_live = tree.state(name).status in (Status.STARTING, Status.RUNNING)
                yield now, name, tree.exited(name, now, data.draw(st.sampled_from(["crash", "normal", "hung"])))
                assert was_live or tree.state(name).status not in (Status.STARTING, Status.RUNNING)
            case "resume":
                try:
                    yield now, "", tree.resume(data.draw(st.sampled_from(supervisors)), now)
                except Refused:
                    assert Status.GAVE_UP in {s.status for s in tree.states()}


@given(specs(), st.data())
def test_no_child_is_started_twice_nor_stopped_when_it_is_down(spec: Supervisor, data: st.DataObject) -> None:
    live: set[str] = set()
    for _, ended, orders in lives(spec, data):
        if Stop(ended) not in orders:
            live.discard(ended)
        for order in orders:
            match order:
                case Start(name):
                    assert name not in live
                    live.add(name)
                case Stop(name):
                    assert name in live
                    live.remove(name)


@given(specs(), st.data())
def test_stops_come_in_reverse_and_before_starts_which_come_in_order(spec: Supervisor, data: st.DataObject) -> None:
    place = {m.name: i for i, m in enumerate(members(spec))}
    for now, _, orders in lives(spec, data):
        starts = [o for o in orders if isinstance(o, Start)]
        assert [o for o in orders if isinstance(o, Stop)] == orders[: len(orders) - len(starts)] or not starts
        assert [place[o.name] for o in starts] == sorted(place[o.name] for o in starts)
        assert all(o.at >= now for o in starts)
        assert len({o.at for o in starts}) <= 1


@given(st.integers(0, 4), st.lists(st.integers(0, 5 * SECOND), max_size=40))
def test_no_window_holds_more_restarts_than_the_intensity(intensity: int, pauses: list[int]) -> None:
    tree = running(Supervisor("top", "one_for_one", intensity, 10, (Child("a"), Child("b"))))
    now = NOW
    restarts: list[int] = []
    for i, pause in enumerate(pauses):
        now += pause
        restarts += [now for order in crash(tree, "ab"[i % 2], now) if isinstance(order, Start)]
    for first in restarts:
        assert sum(first <= at < first + 10 * SECOND for at in restarts) <= intensity
