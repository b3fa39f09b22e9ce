"""One-time links: how the owner of the state folder comes in with a browser, at the first start and later."""

from sqlalchemy import delete, insert

from federation.clock import SECOND, Clock
from managers.uim.access import database, secret
from managers.uim.access.database import Database

LIFETIME = 15 * 60 * SECOND
_table = database.links


class Links:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def make(self) -> tuple[str, int]:
        """The secret of a link, and until when (ns) it is good."""
        made, now = secret.make(), self._clock.now()
        with self._db.begin() as connection:
            connection.execute(delete(_table).where(_table.c.expires <= now))
            connection.execute(insert(_table).values(key=secret.key(made), expires=now + LIFETIME))
        return made, now + LIFETIME

    def take(self, given: str) -> bool:
        """Whether the link was good; from now on it is not. Of two who use it at once one gets in."""
        chosen = (_table.c.key == secret.key(given)) & (_table.c.expires > self._clock.now())
        with self._db.begin() as connection:
            return connection.execute(delete(_table).where(chosen)).rowcount == 1
