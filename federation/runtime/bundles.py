"""How bundles come into force: those of the spec folder as it is edited, and those that a person activates.

Part of the gate's process. It checks what it puts on record as every manager does again for itself; see
`federation.bundles.acceptance`.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import ray

import tiki
from federation.bundles import artefact, staging
from federation.bundles.acceptance import Acceptance, Accepted, record_of, text_of
from federation.bundles.history import find, namesake
from federation.bundles.proof import unproved
from federation.bundles.region import suspects
from federation.clock import Clock
from federation.desk import Desk
from federation.errors import Refused, Temporary
from federation.ledger.store import Store
from federation.records import BundleText, Entry, Kind, encode
from federation.runtime.roster import Roster
from federation.runtime.service import NAMESPACE, actor_name
from federation.settings import Settings
from tiki.front import VERSION

RESCAN = 1.0  # seconds between looks at the spec folder
ADOPTION = 5.0  # seconds for a manager to take a new bundle; one that is being restarted reads it from the ledger

_UNSOUND = (tiki.Invalid, Refused, OSError)  # what keeps the specs of the folder from coming into force


class Gate(Protocol):
    """The process that this is a part of. do: run work on the desk and commit its entries."""

    settings: Settings
    acceptance: Acceptance
    roster: Roster
    store: Store
    desk: Desk
    log: logging.Logger

    @property
    def clock(self) -> Clock: ...

    async def do(self, work: Callable[[int], tuple[list[Entry], Any]]) -> Any: ...


class Bundles:
    """problem: what is wrong with an edit of the folder that is therefore not in force."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.settings, self.acceptance = gate, gate.settings, gate.acceptance
        self.problem: dict[str, Any] = {}
        self._turn = asyncio.Lock()

    @property
    def in_force(self) -> Accepted:
        return self.acceptance.accepted

    @property
    def why_unfollowed(self) -> str:
        """Why edits of the spec folder change nothing; empty: they do."""
        if self.settings.bundles.require_signature:
            return (
                "rules need a signature here (`bundles.require_signature`): `elias bundle activate` takes signed ones"
            )
        if self.in_force.text.origin != "folder":
            return "a bundle was put in force by hand; `elias bundle activate --folder` follows the folder again"
        return ""

    # -- at the start ------------------------------------------------------------------------------------------------

    def first(self) -> tuple[Accepted, list[Entry]]:
        """What the federation starts with, and what is to be recorded for that. Raises Refused or Invalid where there
        is nothing sound.
        """
        on_record = self.acceptance.newest(self.gate.store)
        chosen = self._staged()
        if chosen is None or (on_record is not None and _same(chosen.text, on_record.text)):
            chosen = self._at_start(on_record)
        if on_record is not None and chosen.text == on_record.text:
            return on_record, []
        text = chosen.text
        if on_record is not None:
            text = self._after(on_record, text, dict.fromkeys(suspects(on_record.bundle, chosen.bundle), ""))
        return Accepted(text, chosen.bundle), [_entry(text)]

    def begin(self, chosen: Accepted) -> None:
        """It is on record: what a person chose for this start is done, and what could not be used stays to be seen."""
        self.acceptance.accept(chosen)
        if not self.problem:
            staging.unstage(self.settings.state)

    def _at_start(self, on_record: Accepted | None) -> Accepted:
        """What stays in force; else the folder if it is sound."""
        if self.settings.bundles.require_signature:
            if on_record is None:
                cure = "`elias bundle activate FILE --at-start` names the signed bundle to begin with"
                why = self.acceptance.refused
                raise Refused("no-signed-bundle", why.why if why else "no signed bundle was ever in force", cure=cure)
            return on_record
        before = on_record or self._carried_over()
        if before is not None and before.text.origin != "folder":
            return before
        try:
            bundle = self.load()
        except _UNSOUND as error:
            self.problem = problem_of(error)
            if before is None:
                raise
            return before
        if before is not None and before.text.digest == bundle.digest:
            return before
        return Accepted(self._folder_text(bundle), bundle)

    def _staged(self) -> Accepted | None:
        try:
            text = staging.staged(self.settings.state)
            if text is None:
                return None
            return Accepted(text, self.acceptance.bundle(text, self.gate.clock.now()))
        except Refused as error:
            self.problem = problem_of(error)
            self.gate.log.error("the bundle that was chosen for this start is not in force: %s", error)
            return None

    def _carried_over(self) -> Accepted | None:
        """The newest bundle on record, made for other versions of the points, for those of this ELIAS."""
        found = self.gate.store.latest(1, kinds=[Kind.BUNDLE])
        if not found:
            return None
        try:
            text = text_of(found[0])
            bundle = tiki.rebuild(text.sources, self.acceptance.points)
        except _UNSOUND as error:
            self.gate.log.error("what was in force does not fit this ELIAS: %s", error)
            return None
        words = {"by": "elias", "reason": f"{text.digest}, for the decision points of this ELIAS"}
        digest, versions = bundle.digest, self.acceptance.versions
        return Accepted(msgspec.structs.replace(text, digest=digest, versions=versions, signatures=[], **words), bundle)

    # -- the folder --------------------------------------------------------------------------------------------------

    def load(self) -> tiki.Bundle:
        """The bundle of the spec folder. Raises Invalid, Refused or OSError."""
        folder = self.settings.spec_folder
        overlay = folder / "overlays" / self.settings.overlay if self.settings.overlay else None
        bundle = tiki.load(folder, self.acceptance.points, overlay)
        if not bundle.texts:  # a folder that is not mounted is no edit that takes every guard away
            cure = "see that it is there and readable, and `specs` in elias.yaml"
            raise Refused("no-specs", "there is no spec in this folder", place=str(folder), cure=cure)
        return bundle

    def _folder_text(self, bundle: tiki.Bundle, by: str = "", reason: str = "") -> BundleText:
        versions = self.acceptance.versions
        return BundleText(bundle.digest, bundle.texts, versions, language=VERSION, by=by, reason=reason)

    async def watch(self) -> None:
        """Put an edit in force for the next event; a broken one is reported and changes nothing."""
        seen = self._stamp()
        if self.why_unfollowed:
            self.gate.log.info("edits of the spec folder change nothing: %s", self.why_unfollowed)
        while True:
            await asyncio.sleep(RESCAN)
            stamp = self._stamp()
            if stamp == seen:
                continue
            try:
                async with self._turn:
                    await self._edited()
            except Temporary as error:
                self.gate.log.warning("the edited specs are not in force yet: %s", error)
                continue
            except _UNSOUND as error:
                self.problem = problem_of(error)
                self.gate.log.warning("the edited specs are not in force: %s", error)
            seen = stamp

    async def _edited(self) -> None:
        if why := self.why_unfollowed:
            raise Refused("not-followed", "the spec folder was edited, and that changes nothing", cure=why)
        bundle = self.load()
        if bundle.digest != self.in_force.bundle.digest:
            # Without a proof, which would keep the author of an edit waiting.
            changed = dict.fromkeys(suspects(self.in_force.bundle, bundle), "")
            await self._put_in_force(Accepted(self._folder_text(bundle), bundle), changed)
        self.problem = {}

    def _stamp(self) -> list[tuple[str, int, int]]:
        stamps = []
        for folder, _, files in os.walk(self.settings.spec_folder):
            for name in files:
                if name.endswith((".tiki", ".md")):
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):  # moved away meanwhile, or an editor's lock that points nowhere
                        stat = os.stat(path)
                        stamps.append((path, stat.st_mtime_ns, stat.st_size))
        return sorted(stamps)

    # -- a person's word ---------------------------------------------------------------------------------------------

    async def activate(self, file: str, by: str, reason: str) -> dict[str, Any]:
        """Put the bundle of a file in force. Raises Refused."""
        given = artefact.load(file.encode("utf-8", "replace"), "the bundle")
        return await self._switch(record_of(given, origin="file", by=by, reason=reason))

    async def roll_back(self, to: str, by: str, reason: str) -> dict[str, Any]:
        """Put in force what was so before, by digest or version. Raises Refused."""
        text = await asyncio.to_thread(find, self.gate.store, to)
        return await self._switch(msgspec.structs.replace(text, origin="rollback", by=by, reason=reason))

    async def follow_folder(self, by: str, reason: str) -> dict[str, Any]:
        """Put the specs of the folder in force, and their edits from now on. Raises Refused."""
        if self.settings.bundles.require_signature:
            cure = "build a bundle of it, have it signed, and activate that"
            raise Refused("bundle-unsigned", "rules need a signature here, and a folder has none", cure=cure)
        try:
            text = self._folder_text(self.load(), by, reason)
        except (tiki.Invalid, OSError) as error:
            cure = "correct it; `elias tiki check` shows the same"
            raise Refused("specs", str(error), place=str(self.settings.spec_folder), cure=cure) from None
        return await self._switch(text)

    async def _switch(self, text: BundleText) -> dict[str, Any]:
        async with self._turn:
            # In a thread, for large specs take longer than a process may be silent.
            bundle = await asyncio.to_thread(self.acceptance.bundle, text, self.gate.clock.now())
            if _same(text, self.in_force.text):
                return {**self.describe(), "changed": False, "refused": {}}
            if text.origin == "file":
                other = await asyncio.to_thread(namesake, self.gate.store, text.version, text.digest)
                if other is not None:
                    what = f"version `{text.version}` was in force with other rules, of digest {other}"
                    raise Refused("bundle-version", what, cure="build it under a version of its own")
            before = self.in_force.bundle
            changed = await unproved(before, bundle, suspects(before, bundle))
            refused = await self._put_in_force(Accepted(text, bundle), changed)
            self.problem = {}
            return {**self.describe(), "changed": True, "refused": refused}

    def describe(self) -> dict[str, Any]:
        """What is in force, without its texts. signers: by the names of the keys that are trusted here."""
        text = self.in_force.text
        signers: tuple[str, ...] = ()
        with contextlib.suppress(Refused):
            signers = self.acceptance.signers(text)
        return {
            "digest": text.digest,
            "version": text.version,
            "expires": text.expires and text.expires.isoformat(),
            "origin": text.origin,
            "by": text.by,
            "reason": text.reason,
            "previous": text.previous,
            "uncovered": text.uncovered,
            "signers": list(signers),
            "signatures": len(text.signatures),
            "unfollowed": self.why_unfollowed,
            "problem": self.problem,
        }

    # -- putting in force --------------------------------------------------------------------------------------------

    async def _put_in_force(self, accepted: Accepted, changed: dict[str, str]) -> dict[str, str]:
        """Record the bundle, and return once every manager has said whether it uses it: those that do not, and why.
        changed: as `uncovered` in the record.
        """
        before, gate = self.gate.store.head().size, self.gate
        text = self._after(self.in_force, accepted.text, changed)

        def work(now: int) -> tuple[list[Entry], Any]:
            gate.desk.use(accepted.bundle)
            return [_entry(text)], None

        await gate.do(work)
        names = list(gate.roster.managers)
        answers = await asyncio.gather(*(self._adoption(name, text.digest, before) for name in names))
        self.acceptance.accept(Accepted(text, accepted.bundle))
        for name, answer in zip(names, answers, strict=True):
            if answer:
                gate.log.error("%s does not use bundle %s: %s", name, text.digest, answer)
        return {name: answer for name, answer in zip(names, answers, strict=True) if answer}

    def _after(self, before: Accepted, text: BundleText, changed: dict[str, str]) -> BundleText:
        if changed:
            self.gate.log.warning("the policy's promise on its error no longer covers %s", ", ".join(changed))
        return msgspec.structs.replace(text, previous=before.text.digest, uncovered=changed)

    async def _adoption(self, name: str, digest: str, before: int) -> str:
        """Empty once a manager uses it; else why it does not. before: seq up to which a refusal is an old one."""
        try:
            manager = ray.get_actor(actor_name(name), NAMESPACE)
            async with asyncio.timeout(ADOPTION):
                while True:
                    health = await manager.health.remote()
                    if health["bundle"] == digest:
                        return ""
                    refusal = health["bundle_refused"]
                    if refusal and refusal["seq"] > before:
                        return str(refusal["why"])
                    await asyncio.sleep(0.02)
        except (ray.exceptions.RayError, ValueError, TimeoutError):
            return "it does not answer now, and reads the ledger once it does"


def problem_of(error: Exception) -> dict[str, Any]:
    return {"message": str(error), "count": len(error.diagnostics) if isinstance(error, tiki.Invalid) else 1}


def _entry(text: BundleText) -> Entry:
    return Entry(Kind.BUNDLE, "", "", "", encode(text))


def _same(one: BundleText, other: BundleText) -> bool:
    """Whether putting one in force after the other would change nothing."""
    held = [text.origin == "folder" for text in (one, other)]
    signed = [(text.digest, text.version, text.expires, text.signatures) for text in (one, other)]
    return held[0] == held[1] and signed[0] == signed[1]
