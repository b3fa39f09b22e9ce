"""Bundles of specs: what is in force, what was so before, and a person's word to change it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from federation.bundles.artefact import LARGEST
from federation.bundles.history import Entry, history
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.reading import iso

PATIENCE = 25.0  # seconds: the solver has 10 of them, and the managers 5

router = APIRouter(prefix="/v1/bundle", tags=["federation"])
Author = Annotated[Person, needs(Scope.BUNDLES)]


class Brief(BaseModel):
    """A bundle without its texts.

    origin: `folder`, `file` or `rollback`. signers: the names of those whose signature is trusted here; signatures: how
    many it carries. previous: digest of the one before. uncovered: the points whose `consult` region differs from that
    of the one before, so that the policy's promise on its error (`max_error`) does not cover them, with an input for
    which it does. unfollowed: why edits of the spec folder change nothing; empty: they do. problem: what is wrong with
    an edit that is therefore not in force.
    """

    digest: str
    version: str = ""
    expires: str | None = None
    origin: str = "folder"
    by: str = ""
    reason: str = ""
    previous: str = ""
    uncovered: dict[str, str] = {}
    signers: list[str] = []
    signatures: int = 0
    unfollowed: str = ""
    problem: dict[str, Any] = {}


class Bundle(Brief):
    """The specs in force. sources: their texts by path."""

    sources: dict[str, str]


class Switched(Brief):
    """What is in force now. changed: false where it was so already. refused: managers that do not use it, and why."""

    changed: bool
    refused: dict[str, str]


class Past(BaseModel):
    """A bundle that was put on record as seq. origin: `unreadable` where somebody has written into the database."""

    seq: int
    time: str
    digest: str
    version: str
    origin: str
    by: str
    reason: str
    signatures: int
    uncovered: dict[str, str]


class History(BaseModel):
    """Newest first. next: the `before` of the next page; null: there is none."""

    bundles: list[Past]
    next: int | None = None


class _Word(Body):
    reason: str = Field("", max_length=500)


class Activate(_Word):
    """file: the bundle as `elias bundle build` and `sign` wrote it."""

    file: str = Field(max_length=LARGEST)


class RollBack(_Word):
    """to: digest, the first 6 or more of its digits, or version of a bundle that was in force."""

    to: str = Field(min_length=1, max_length=64)


class Follow(_Word):
    pass


@router.get("", summary="The specs in force", dependencies=[needs(Scope.READ)])
async def bundle(request: Request) -> Bundle:
    return Bundle(**await context.of(request).link.call("gate", "bundle"))


@router.get("/history", summary="What was in force, newest first", dependencies=[needs(Scope.READ)])
async def past(request: Request, limit: int = 50, before: int | None = None) -> History:
    wanted = max(1, min(limit, 500))
    found = await asyncio.to_thread(history, context.of(request).store, wanted, before)
    return History(bundles=[past_of(entry) for entry in found], next=found[-1].seq if len(found) == wanted else None)


@router.put("", summary="Put a bundle in force")
async def activate(request: Request, body: Activate, person: Author) -> Switched:
    return await _switched(request, "activate", body.file, person.name, body.reason)


@router.post("/rollback", summary="Put a bundle in force that was so before")
async def roll_back(request: Request, body: RollBack, person: Author) -> Switched:
    return await _switched(request, "roll_back", body.to, person.name, body.reason)


@router.put("/folder", summary="Put the spec folder in force, and its edits from now on")
async def follow_folder(request: Request, body: Follow, person: Author) -> Switched:
    return await _switched(request, "follow_folder", person.name, body.reason)


async def _switched(request: Request, method: str, *words: str) -> Switched:
    return Switched(**await context.of(request).link.call("gate", method, *words, patience=PATIENCE))


def past_of(entry: Entry) -> Past:
    return Past(**entry._asdict() | {"time": iso(entry.time)})
