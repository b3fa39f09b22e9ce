"""Sends one message: the only place where UCM touches the world. Only targets that the settings name are spoken to."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from federation.clock import Clock
from federation.effects import Order
from federation.errors import Refused
from federation.records import Event, Outcome
from federation.targets import AnyTarget, Email, Slack, Webhook
from managers.ucm.channels import http, mail, slack, webhook
from managers.ucm.channels.delivery import REFUSED, UNREACHABLE, Delivery, Reply


class Outbound:
    """The doer of `message.deliver`.

    read: the event that sent a message, by the message's id. page: address of the page, for links.
    """

    def __init__(
        self, targets: Mapping[str, AnyTarget], read: Callable[[str], Awaitable[Event]], clock: Clock, page: str = ""
    ) -> None:
        self.targets, self.read, self.clock, self.page = targets, read, clock, page
        self._client = http.client()
        self._sending: dict[str, asyncio.Future[Outcome]] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def do(self, order: Order) -> Outcome:
        sending: asyncio.Future[Outcome] = asyncio.ensure_future(self._deliver(order))
        self._sending[order.decision] = sending
        try:
            return await sending
        finally:
            del self._sending[order.decision]

    async def probe(self, order: Order) -> Outcome:
        """An attempt that is still on its way is awaited; of an interrupted one nobody knows whether it arrived."""
        sending = self._sending.get(order.decision)
        if sending is not None:
            return await asyncio.shield(sending)
        return Outcome("unknown", "interrupted; it may have arrived", {"at": self.clock.now(), "failure": "lost"})

    async def _deliver(self, order: Order) -> Outcome:
        name, message = str(order.args["target"]), str(order.args["message"])
        target = self.targets.get(name)
        if target is None:
            return self._outcome(Reply(REFUSED, f"the settings name no target `{name}` any more"))
        delivery = Delivery(message, await self.read(message), int(order.args["attempt"]))
        began = time.monotonic()
        try:
            async with asyncio.timeout(target.timeout):
                reply = await self._send(target, delivery)
        except TimeoutError:
            reply = Reply(UNREACHABLE, f"no answer within {target.timeout:g} s")
        except Refused as error:
            # A secret that is missing may be there at the next attempt; a body that is no notice stays one.
            reply = Reply(UNREACHABLE if error.code == "no-secret" else REFUSED, error.message)
        return self._outcome(reply, time.monotonic() - began)

    async def _send(self, target: Webhook | Slack | Email, delivery: Delivery) -> Reply:
        match target:
            case Webhook():
                return await webhook.send(self._client, target, delivery)
            case Slack():
                return await slack.send(self._client, target, delivery, self.page)
            case Email():
                return await mail.send(target, delivery, self.page)

    def _outcome(self, reply: Reply, seconds: float | None = None) -> Outcome:
        data: dict[str, Any] = {"at": self.clock.now()}
        if reply.status is not None:
            data |= {"status": reply.status, "seconds": round(seconds or 0.0, 4)}
        if not reply.failure:
            return Outcome("done", reply.detail, data, reward=1.0)
        data["failure"] = reply.failure
        if reply.retry_after is not None:
            data["retry_after"] = reply.retry_after
        return Outcome("failed", reply.detail, data, reward=0.0)
