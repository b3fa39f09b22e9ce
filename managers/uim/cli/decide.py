"""decide, explain: one decision, and why."""

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, Unreachable, settings_of
from managers.uim.cli.output import Json, arguments, complain, emit, say


def add_to(app: typer.Typer) -> None:
    app.command()(decide)
    app.command()(explain)


def decide(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="An event or a list of events, as JSON or YAML; `-` reads standard input.")
    ],
    json_: Json = False,
) -> None:
    """Have an event decided, and print what was decided.

    An event needs a `type`, most a `subject`, and the facts in `data`. `id` and `source` are made up where they are
    missing; the same id again gets the first answer. Exit code 1 when one of them was refused.

    Examples:

        elias decide event.yaml

        echo '{"type": "ufm.routing", "subject": "user-7", "data": {}}' | elias decide - --json
    """
    events = _events(file)
    answer = Api(settings_of(context)).post("/v1/events", events)
    results = answer.get("results") or [{"status": 200, **answer}]
    if json_:
        emit(answer)
    for event, result in zip(events if isinstance(events, list) else [events], results, strict=True):
        if "error" in result:
            error = result["error"]
            complain(f"{event['id']}: {error['message']}", error["place"], error["cure"])
        elif not json_:
            for decision in result["decisions"]:
                print(line_of(decision))
    if any("error" in result for result in results):
        raise typer.Exit(1)


def _events(file: Path) -> dict[str, Any] | list[dict[str, Any]]:
    from federation import strictyaml  # noqa: PLC0415

    place = "standard input" if str(file) == "-" else str(file)
    read = strictyaml.loads(sys.stdin.read(), place) if str(file) == "-" else strictyaml.load(file)
    read = json.loads(json.dumps(read, default=str))  # YAML reads times as such
    found = read if isinstance(read, list) else [read]
    for event in found:
        if not isinstance(event, dict):
            raise Refused(
                "bad-event", "this is no event", place=place, cure="write a mapping with `type`, `subject` and `data`"
            )
        event.setdefault("specversion", "1.0")
        event.setdefault("id", uuid.uuid4().hex)
        event.setdefault("source", "elias/cli")
    return found if isinstance(read, list) else found[0]


_MODELS = {"policy": "the policy", "advisor": "an advisor"}


def line_of(decision: dict[str, Any]) -> str:
    """A decision on one line."""
    head = f"{decision['id']} {decision['point']} {decision['subject']}: ".replace("  ", " ")
    if decision["status"] == "waiting":
        return f"{head}waits as a case: {decision.get('reason', '')}"
    what = arguments(decision.get("action", ""), decision.get("args", {}))
    mode = decision.get("mode", "")
    would = {"observe": "would ", "approve": "asks to "}.get(mode, "")
    by = decision.get("clause") or decision.get("tier", "")
    tier = decision.get("tier")
    by = f"{_MODELS[tier]}, asked by {by}" if tier in _MODELS else by
    again = ", again" if decision.get("duplicate") else ""
    return f"{head}{would}{what} (by {by}{again})"


def explain(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The decision, as `elias decide` and the page show it.")],
    json_: Json = False,
) -> None:
    """Why a decision fell as it did: every rule tried, every comparison with its values, and what came of it.

    It is recomputed from the ledger, so it works with everything down.

    Example:

        elias explain 3f9a1c0b5d2e4f60718293a4b5c6d7e8
    """
    settings = settings_of(context)
    try:
        api = Api(settings)
        explanation, decision = api.get(f"/v1/decisions/{id}/explain"), api.get(f"/v1/decisions/{id}")
    except Unreachable:
        say("ELIAS is down; this is read from the ledger")
        explanation, decision = _from_ledger(settings.ledger_url, id)
    if json_:
        emit({"decision": decision, "explanation": explanation})
        return
    print(line_of(decision))
    print()
    print(explanation["text"])
    for out in explanation["forbidden"]:
        print(f"{out['guard']} forbade {arguments(out['action'], out['args'])}")
    if explanation["opinion"]:
        _tell(explanation["opinion"])
    if explanation["advice"]:
        _tell_advice(explanation["advice"])
    print()
    for step in decision["steps"]:
        print(f"{step['time']}  {step['what']}{': ' + step['detail'] if step['detail'] else ''}")
    if not explanation["same"]:
        complain("recomputing gives another result than is on record", cure="`elias ledger verify`, and report it")
        raise typer.Exit(1)


def _tell(opinion: dict[str, Any]) -> None:
    """What the policy said, the likeliest first."""
    if not opinion["policy"]:
        print(f"\npolicy: {opinion['reason']}")
        return
    print(f"\npolicy {opinion['policy'][:12]}, scored by {opinion['engine']}:")
    for one in sorted(opinion["candidates"], key=lambda one: -float(one["probability"])):
        mark = "*" if one["chosen"] else " "
        print(f"  {mark} {one['probability']:6.1%}  {arguments(one['action'], one['args'])}")
    print(f"  {opinion['reason']}")


def _tell_advice(advice: dict[str, Any]) -> None:
    """What an advisor said, and what it took."""
    if not advice["model"]:
        print(f"\nadvisor: {advice['reason']}")
        return
    chose = arguments(advice["action"], advice["args"]) if advice["action"] else "ask a person"
    sure = "" if advice["confidence"] is None else f", {100 * advice['confidence']:.0f} % sure"
    print(f"\nadvisor {advice['model']} ({advice['provider']}): {chose}{sure}")
    print(f"  {advice['words']}")
    print(f"  {advice['reason']}; {advice['seconds']:.1f} s, ${advice['cost']:.4f}")


def _from_ledger(url: str, id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from federation.ledger.store import Store  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415
    from managers.uim.reading import Reader  # noqa: PLC0415

    reader = Reader(Store.open(url, read_only=True), Roster(ROSTER).points)
    return reader.explain(id).model_dump(), reader.decision(id).model_dump()
