"""Asks the solver whether points that are written differently still consult on the same inputs for the same choices.

In a process of its own, `python -m federation.bundles.proof`: the solver takes seconds and memory that nobody who
decides events has. What it cannot settle in time counts as changed.
"""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

import tiki

LIMIT = 10.0  # seconds for all points together, the start of the process among them
_SHARE = 0.6  # of it for the solver's computing, the rest is for starting and compiling


class _Question(msgspec.Struct):
    """points: their declarations as JSON."""

    before: dict[str, str]
    after: dict[str, str]
    points: list[str]
    suspects: list[str]


async def unproved(before: tiki.Bundle, after: tiki.Bundle, suspects: Sequence[str]) -> dict[str, str]:
    """Those of the points that are not proved to consult as before, with an input in TIKI where one is known."""
    if not suspects:
        return {}
    points = [program.point.model_dump_json() for program in after.programs.values()]
    question = msgspec.json.encode(_Question(before.texts, after.texts, points, list(suspects)))
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    command = (sys.executable, "-m", "federation.bundles.proof")
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=none)
    try:
        async with asyncio.timeout(LIMIT):
            answer, _ = await process.communicate(question)
        return msgspec.json.decode(answer, type=dict[str, str])
    except (TimeoutError, msgspec.MsgspecError):
        return dict.fromkeys(suspects, "")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _answer(question: _Question) -> dict[str, str]:
    from tiki.analysis import Outcome, compare  # noqa: PLC0415 - z3

    declared = [tiki.Point.model_validate_json(raw) for raw in question.points]
    points = {point.name: point for point in declared}
    before, after = (tiki.rebuild(texts, points).programs for texts in (question.before, question.after))
    found = {}
    for name in question.suspects:
        told = compare(before[name].plan, after[name].plan, LIMIT * _SHARE / len(question.suspects))
        if told.consults is not Outcome.PROVED:
            found[name] = told.consult_example
    return found


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=_Question)
    sys.stdout.buffer.write(msgspec.json.encode(_answer(asked)))
