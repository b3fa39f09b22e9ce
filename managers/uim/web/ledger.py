"""The log of everything: its records, newest first, and the page of one with the proof that it is in there."""

import asyncio
from typing import Annotated, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from federation.errors import EliasError, Refused
from federation.ledger import merkle, proofs
from federation.ledger.store import Head, Store
from federation.records import Header, Kind, Record
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
LIMIT = 60


class Proof(NamedTuple):
    """That a record is in the ledger of `size` records with this root (RFC 6962, section 2.1.1). path: hex, from the
    leaf up. holds: the path leads from this leaf to this root."""

    size: int
    root: str
    leaf: str
    path: list[str]
    holds: bool


@router.get("/ledger", dependencies=[needs(Scope.READ)])
async def ledger(
    request: Request,
    kind: Annotated[str, Query(max_length=32)] = "",
    point: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    here = context.of(request)
    person: Person = request.state.person
    kinds, points = [kind] if kind else [], [point] if point else []
    head, records = await asyncio.gather(
        asyncio.to_thread(here.store.head),
        asyncio.to_thread(here.store.latest, LIMIT, kinds=kinds, points=points, before=before or None),
    )
    return render.page(
        request,
        "ledger.html",
        head=head,
        rows=[(record.header, _brief(record) if may_read(person, record.header) else _KEPT) for record in records],
        older=records[-1].header.seq if len(records) == LIMIT else None,
        kind=kind,
        point=point,
        kinds=[k.value for k in Kind],
        points=sorted(here.points),
    )


@router.get("/ledger/{seq}", dependencies=[needs(Scope.READ)])
async def record(request: Request, seq: int) -> Response:
    here = context.of(request)
    try:
        header, body, proof = await asyncio.to_thread(read, here.store, seq)
    except EliasError as error:
        return render.message(request, error)
    body = body if may_read(request.state.person, header) else _KEPT
    return render.page(request, "record.html", header=header, body=body, proof=proof)


def read(store: Store, seq: int) -> tuple[Header, str, Proof]:
    """A record, its body for reading, and its proof under the newest head. Blocking. Raises Refused: there is none."""
    head = store.head()
    if not 0 < seq <= head.size:
        cure = f"they are numbered from 1 to {head.size}"
        raise Refused("no-record", f"there is no record {seq}", cure=cure)
    (found,) = store.read(after=seq - 1, upto=seq)
    return found.header, msgspec.json.format(found.body, indent=2).decode(), prove(store, found, head)


def prove(store: Store, found: Record, head: Head) -> Proof:
    seq = found.header.seq
    leaf, path = merkle.leaf_hash(found.leaf()), proofs.inclusion(store, seq, head)
    holds = merkle.verify_inclusion(leaf, seq - 1, head.size, path, head.root)
    return Proof(head.size, head.root.hex(), leaf.hex(), [hash.hex() for hash in path], holds)


_KEPT = "who came in, and what they changed: for those who keep the accounts"


def may_read(person: Person, header: Header) -> bool:
    """Everybody reads what was decided; who came in from where is for those who keep the accounts."""
    return header.kind != Kind.ACCESS or person.may(Scope.ACCOUNTS)


def _brief(found: Record) -> str:
    """The beginning of a body, without the schema version that every one ends in."""
    return found.body[:160].decode("utf-8", "ignore")
