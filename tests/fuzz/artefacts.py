"""Bundles from anywhere: read as they were written, or refused with a cure; never trusted for what they say."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

import tiki
from federation.bundles.artefact import (
    Artefact,
    Content,
    check_digest,
    check_language,
    check_points,
    dump,
    load,
    make,
)
from federation.bundles.signing import signers
from federation.errors import Refused
from tests.tiki import lab
from tests.tiki.places import assert_inside

T = TypeVar("T")
PLACE = "x.bundle"
VERSIONS = {point.name: point.version for point in lab.POINTS.values()}


def bundle(raw: bytes) -> None:
    given = attempt(lambda: load(raw, PLACE))
    if isinstance(given, Refused):
        assert given.place, given
        assert given.cure, given
    else:
        assert dump(given) == raw
        _use(given)
    _anew(raw)


def attempt(work: Callable[[], T]) -> T | Refused:
    try:
        return work()
    except Refused as refused:
        return refused


def _use(given: Artefact) -> None:
    content = given.content
    check_digest(content, PLACE)
    check_language(content, PLACE)
    signed = attempt(lambda: signers(content, given.signatures, {}, PLACE))
    assert isinstance(signed, Refused), "nobody is trusted, and still it counts as signed"
    assert signed.code in ("bundle-unsigned", "bundle-untrusted"), signed
    if content.points == VERSIONS:
        check_points(content, VERSIONS, PLACE)
        try:
            tiki.rebuild(content.texts, lab.POINTS)
        except tiki.Invalid as invalid:
            assert_inside(invalid.diagnostics, content.texts)


def _anew(raw: bytes) -> None:
    """The same content under its own digest, as somebody makes it who builds bundles: mutations seldom keep one."""
    try:
        content = msgspec.json.decode(raw, type=_Loose).content
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    given = attempt(lambda: make(content.texts, VERSIONS, content.version, content.expires))
    file = given if isinstance(given, Refused) else attempt(lambda: dump(given))
    if not isinstance(file, Refused):
        assert load(file, PLACE) == given
        _use(load(file, PLACE))


class _Loose(msgspec.Struct):
    content: Content
