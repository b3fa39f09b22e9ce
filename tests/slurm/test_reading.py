"""What Slurm's commands print, as ELIAS takes it: the real ones, and what people may have written into them."""

from collections import Counter

import pytest

from federation.errors import Temporary
from managers.ufm.foreign.node import Status
from managers.ufm.slurm.node import reason
from managers.ufm.slurm.reading import expand, gpus_of, node_of, picture
from tests.slurm.cluster import Cluster

DECISION = "0123456789abcdef0123456789abcdef"
LINE = (
    "NodeName=a1 Arch=x86_64 CPUAlloc=1 CPUTot=2 Gres=gpu:h100:2(S:0-1) GresUsed=gpu:h100:1(IDX:0) Version=22.05.8 "
    "OS=Linux 6.1.0 #1 SMP  RealMemory=500 AllocMem=100 FreeMem=10 State={state} Partitions=main,big "
    "CfgTRES=cpu=2,mem=500M AllocTRES=cpu=1"
)


def status(state: str, why: str = "", by: str = "root") -> Status:
    line = LINE.format(state=state) + (f" Reason={why} [{by}@2026-01-02T03:04:05]" * bool(why))
    return node_of(line, Counter()).status


def test_a_line_of_scontrol_is_a_node() -> None:
    node = node_of(LINE.format(state="MIXED+PLANNED"), Counter(a1=1))
    assert (node.name, node.states, node.partitions) == ("a1", ("MIXED", "PLANNED"), ("main", "big"))
    assert (node.cpus, node.cpus_used, node.memory, node.memory_used) == (2, 1, 500 << 20, 100 << 20)
    assert (node.gpus, node.gpus_used, node.model, node.jobs) == (2, 1, "h100", 1)


@pytest.mark.parametrize(
    ("gres", "expected"),
    [("gpu:(null):3(IDX:0-7)", (3, "")), ("gpu:4", (4, "")), ("gpu:h100:no_consume:2", (2, "h100"))],
)
def test_gpus_may_have_no_type_and_be_shared(gres: str, expected: tuple[int, str]) -> None:
    assert gpus_of(gres) == expected


@pytest.mark.parametrize(
    "state", ["IDLE", "MIXED", "ALLOCATED", "IDLE+COMPLETING", "IDLE+NOT_RESPONDING", "MIXED+PLANNED"]
)
def test_a_node_in_service_is_up_whether_it_answers_or_not(state: str) -> None:
    assert status(state) is Status.UP


def test_a_node_that_slurm_took_down_for_its_silence_is_up_and_silent() -> None:
    assert status("DOWN+NOT_RESPONDING", "Not responding", "slurm") is Status.UP


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("IDLE+DRAIN", "disk broken"),
        ("IDLE+DRAIN", ""),
        ("DOWN+DRAIN+NOT_RESPONDING", "Not responding"),
        ("DOWN", "Not responding"),  # it answers again, and Slurm is set up to wait for a person
        ("DOWN+NOT_RESPONDING", "Node unexpectedly rebooted"),
        ("IDLE+DRAIN", "elias is wrong about this one"),
        ("IDLE+DRAIN", f"{reason(DECISION)}, and it smokes"),
        ("IDLE+DRAIN", f"{reason(DECISION)} [root@2026-01-01T00:00:00] keep it out"),
        ("IDLE+DRAIN", f"  {reason(DECISION)}"),
        ("IDLE+DRAIN", f"{reason(DECISION)} [root@2026-01-01T00:00:00]\n   do not touch"),
    ],
)
def test_what_anybody_else_keeps_from_work_is_held(state: str, why: str) -> None:
    assert status(state, why) is Status.HELD


@pytest.mark.parametrize("state", ["IDLE+DRAIN", "DOWN+DRAIN", "DOWN+DRAIN+NOT_RESPONDING", "MIXED+DRAIN"])
def test_what_elias_drained_is_known_by_its_reason(state: str) -> None:
    assert status(state, reason(DECISION)) is Status.DRAINED


@pytest.mark.parametrize(
    "state",
    [
        "IDLE+POWERED_DOWN",
        "IDLE+CLOUD+POWERING_UP+NOT_RESPONDING",
        "IDLE+MAINT",
        "DOWN+REBOOT_ISSUED",
        "IDLE+DRAIN+INVALID_REG",
        "FUTURE",
        "UNKNOWN",
        "DOWN*",
        "A_STATE_OF_A_LATER_SLURM",
    ],
)
def test_what_is_away_on_purpose_or_in_an_unknown_state_is_left_alone(state: str) -> None:
    assert status(state, reason(DECISION)) is Status.ASIDE


def test_words_on_a_node_change_nothing_else_that_is_read_of_it() -> None:
    text = LINE.format(state="IDLE+DRAIN")
    text += " Reason=bad [root@2026-11-22T13:48:17]        NodeName=a9 State=IDLE CPUTot=99 [x@y]\n"
    found = picture(text + LINE.format(state="IDLE").replace("a1", "a2") + "\n", "")
    assert [(node.name, node.states, node.cpus) for node in found.nodes] == [
        ("a1", ("IDLE", "DRAIN"), 2),
        ("a2", ("IDLE",), 2),
    ]
    assert found.nodes[0].status is Status.HELD


def test_a_field_after_the_reason_is_no_part_of_it() -> None:
    line = LINE.format(state="IDLE+DRAIN")
    node = node_of(f"{line} Reason={reason(DECISION)} [slurm@2026-01-02T03:04:05] Comment=rack 4", Counter())
    assert (node.reason, node.by, node.status) == (reason(DECISION), "slurm", Status.DRAINED)


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(Temporary, match="NodeName=a1 State=IDLE"):
        picture("NodeName=a1 State=IDLE CPUTot=many\n", "")


@pytest.mark.parametrize(
    ("gres", "found"),
    [
        ("(null)", (0, "")),
        ("gpu:2", (2, "")),
        ("gpu:h100:8(S:0,1)", (8, "h100")),
        ("gpu:a100:4,gpu:nvidia_a100_1g.5gb:7,shard:64", (11, "a100")),
        ("gpu:h100:0(IDX:N/A)", (0, "h100")),
        ("mps:200", (0, "")),
    ],
)
def test_gpus_are_counted(gres: str, found: tuple[int, str]) -> None:
    assert gpus_of(gres) == found


@pytest.mark.parametrize(
    "names", ["a1", "a[1-3]", "a[1-2,07-11],b", "r[1-2]n[08-11]", "gpu-[1,3,5],login", "n[098-101]"]
)
def test_a_list_of_nodes_is_what_slurm_takes_it_for(slurm: Cluster, names: str) -> None:
    assert list(expand(names)) == slurm.run("scontrol", "show", "hostnames", names).split()


@pytest.mark.parametrize("names", ["a[1-", "a[x-y]", "a[1-99999999999]"])
def test_a_list_of_nodes_that_makes_no_sense_is_said(names: str) -> None:
    with pytest.raises(Temporary, match="list of nodes"):
        list(expand(names))


def test_jobs_are_counted_by_state_and_node() -> None:
    text = "".join(LINE.format(state="MIXED").replace("a1", f"a{n}") + "\n" for n in (1, 2))
    found = picture(text, "RUNNING|a[1-2]\nRUNNING|a1\nPENDING|\nCOMPLETING|a2\n")
    assert ([node.jobs for node in found.nodes], found.running, found.pending) == ([2, 1], 2, 1)


def test_only_nodes_of_the_wanted_partitions_are_taken() -> None:
    text = LINE.format(state="IDLE") + "\n"
    text += text.replace("a1", "a2").replace("main,big", "main")
    assert [node.name for node in picture(text, "", ["big"]).nodes] == ["a1"]
