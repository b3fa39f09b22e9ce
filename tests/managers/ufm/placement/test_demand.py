import msgspec

from managers.ufm.placement import Demand, Request, Typical, typical_requests
from managers.ufm.placement.demand import WINDOW


def test_typical_are_the_most_frequent_requests_that_cover_95_percent() -> None:
    often, sometimes, rarely = (Request(cpu, 0, gpus=1) for cpu in (1000, 2000, 3000))
    assert typical_requests({rarely: 4, often: 80, sometimes: 16}) == (Typical(often, 80), Typical(sometimes, 16))


def test_requests_that_differ_in_memory_or_labels_alone_are_one() -> None:
    counts = {Request(1000, memory, gpus=1, labels=labels): 1 for memory, labels in ((1, ()), (2, ()), (2, ("a=b",)))}
    assert typical_requests(counts) == (Typical(Request(1000, 0, gpus=1), 3),)


def test_of_equally_frequent_requests_the_larger_comes_first() -> None:
    small, large = Request(1000, 0, gpus=1), Request(2000, 0, gpus=1)
    assert [t.request for t in typical_requests({small: 1, large: 1})] == [large, small]


def test_demand_learns_at_once_and_then_at_every_eighth_more() -> None:
    demand = Demand()
    learnt = [n for n in range(1, 101) if demand.observe(Request(n % 3, 0))]
    assert learnt[:3] == [1, 2, 3]
    assert len(learnt) < 40
    assert {t.request.cpu_milli for t in demand.typical} == {0, 1, 2}


def test_demand_stays_bounded_and_forgets_what_is_no_longer_asked_for() -> None:
    demand = Demand()
    old = Request(1, 0, gpus=8)
    for _ in range(2000):
        demand.observe(old)
    for n in range(60_000):
        demand.observe(Request(2 + n % 5, 0))
        assert len(demand.counts) <= WINDOW
    assert old not in {t.request for t in demand.typical}


def test_demand_continues_from_its_snapshot_as_if_it_had_never_stopped() -> None:
    straight, stopped = Demand(), Demand()
    for n in range(500):
        request = Request(n % 7, n, gpus=n % 2)
        straight.observe(request)
        stopped.observe(request)
        stopped = msgspec.json.decode(msgspec.json.encode(stopped), type=Demand)
    assert stopped == straight
