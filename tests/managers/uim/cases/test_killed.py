"""kill -9 during an answer: afterwards the case is either answered, once, or open."""

import subprocess
import sys
from pathlib import Path

import pytest

from .kit import House

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("answers", [1, 2, 7])
def test_whoever_is_killed_while_answering_leaves_the_case_answered_or_open(tmp_path: Path, answers: int) -> None:
    command = [sys.executable, "-m", "tests.managers.uim.cases.answering", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ids = [child.stdout.readline().strip() for _ in range(answers)]
        child.kill()  # SIGKILL, while it answers the last one
        ids += child.stdout.read().split()
    house = House(tmp_path)
    house.restart()
    for id in ids:
        given = [record.header.kind for record in house.store.decision(id)].count("answered")
        assert (given, house.book.case(id) is None) in ((0, False), (1, True))
    for id in ids:
        if house.book.case(id) is not None:
            house.answer(id)
    assert all(house.book.case(id) is None for id in ids)  # the next one may be open, untold
    assert all([r.header.kind for r in house.store.decision(id)].count("answered") == 1 for id in ids)
    house.store.close()
