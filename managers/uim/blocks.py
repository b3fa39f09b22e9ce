"""Does what `uim.access` decides: the guard asks the manager's folded state, so the outcome on record is the act."""

from federation.effects import Order
from federation.records import Outcome


class Access:
    async def do(self, order: Order) -> Outcome:
        return Outcome("done", f"{order.action} {order.subject}")

    async def probe(self, order: Order) -> Outcome:
        return await self.do(order)
