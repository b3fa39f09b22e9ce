"""answer, approve, override, bulk: what ends a case."""

from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.cases.shared import Id, Words, pages
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.decide import line_of
from managers.uim.cli.output import Json, complain, emit, progress

CHUNK = 50  # cases that one request of `bulk` answers

Arg = Annotated[
    list[str] | None, typer.Option("--arg", "-a", help="NAME=VALUE, where an action is offered more than once.")
]


def answer(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The case, as `elias cases list --each` shows it.")],
    action: Annotated[str, typer.Argument(help="One of the actions that it offers.")],
    arg: Arg = None,
    words: Words = "",
    json_: Json = False,
) -> None:
    """Answer a case. It is checked again: where it no longer holds, the case is asked anew.

    Examples:

        elias cases answer ID hold

        elias cases answer ID place --arg node=gpu-3 --words "it has the data"
    """
    api = Api(settings_of(context))
    _answer(api, f"/v1/cases/{id}/answer", {**_chosen(api, id, action, arg), "words": words}, json_)


def approve(context: typer.Context, id: Id, words: Words = "", json_: Json = False) -> None:
    """Answer a case with what was proposed for it: by the policy, by an advisor, or by the question itself.

    Examples:

        elias cases approve ID

        elias cases approve ID --words "ran the checks by hand"
    """
    _answer(Api(settings_of(context)), f"/v1/cases/{id}/approve", {"words": words}, json_)


def override(
    context: typer.Context,
    id: Id,
    action: Annotated[str, typer.Argument(help="What to do instead.")],
    words: Annotated[str, typer.Option("--words", "-w", help="Why not what was proposed; it teaches the policy.")],
    arg: Arg = None,
    json_: Json = False,
) -> None:
    """Answer a case with something else than was proposed, and say why.

    Examples:

        elias cases override ID hold --words "maintenance until noon"
    """
    api = Api(settings_of(context))
    _answer(api, f"/v1/cases/{id}/override", {**_chosen(api, id, action, arg), "words": words}, json_)


def bulk(
    context: typer.Context,
    id: Id,
    action: Annotated[str, typer.Argument(help="For all of them; without one, what was proposed for each.")] = "",
    arg: Arg = None,
    words: Words = "",
    json_: Json = False,
) -> None:
    """Answer every open case of a group, each for itself. What cannot be done is told case by case, and ends in 1.

    Examples:

        elias cases bulk ID                                  # approve all of them

        elias cases bulk ID hold --words "a switch is down"
    """
    api = Api(settings_of(context))
    body = {"action": action, "args": _arguments(api, id, action, arg), "words": words}
    rows, _ = pages(api, f"/v1/cases/groups/{id}", "cases", 10**9)
    ids = [case["id"] for case in rows]
    results: list[dict[str, Any]] = []
    with progress(f"{len(ids)} cases") as told:
        for at in range(0, len(ids), CHUNK):
            found = api.post(f"/v1/cases/groups/{id}/answer", {**body, "cases": ids[at : at + CHUNK]})
            results += found["results"]
            told(len(results), len(ids))
    refused = [result for result in results if result["status"] == "refused"]
    if json_:
        emit({"results": results})
    else:
        again = sum(result["status"] == "waiting" for result in results)
        asked = f", {again} asked again" if again else ""
        print(f"{len(results) - len(refused) - again} answered{asked}, {len(refused)} not")
        for result in refused:
            complain(result["message"], f"{result['id']} {result['subject']}".strip())
    if refused:
        raise typer.Exit(1)


def _answer(api: Api, path: str, body: dict[str, Any], json_: bool) -> None:
    found = api.post(path, body)
    if json_:
        emit(found)
        return
    for decision in found["decisions"]:
        print(line_of(decision))


def _chosen(api: Api, id: str, action: str, given: list[str] | None) -> dict[str, Any]:
    return {"action": action, "args": _arguments(api, id, action, given)}


def _arguments(api: Api, id: str, action: str, given: list[str] | None) -> dict[str, Any]:
    """The arguments that were meant, with their types, which the candidates tell. Refused where several may be."""
    pairs = dict(_pair(text) for text in given or ())
    asked = api.get(f"/v1/cases/{id}")["candidates"]
    mine = [c.get("args", {}) for c in asked if c["action"] == action and not c.get("forbidden")]
    matching = [args for args in mine if all(str(args.get(name)) == value for name, value in pairs.items())]
    if len(matching) > 1:
        choices = "; ".join(", ".join(f"{k}={v}" for k, v in args.items()) for args in matching)
        raise Refused("ambiguous", f"`{action}` is offered more than once", place="--arg", cure=f"say which: {choices}")
    return {name: matching[0][name] for name in pairs} if matching else dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refused("bad-arg", f"`{text}` is not NAME=VALUE", place="--arg", cure="write --arg node=n1")
    return name, value
