"""Sessions: what a browser holds in a cookie after somebody has signed in. The id is known to that browser alone."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update

from federation.clock import SECOND, Clock
from managers.uim.access import database, secret
from managers.uim.access.database import Database
from managers.uim.access.person import Role

STEP = 60 * SECOND  # how exactly it is kept when a session was last seen
MOST = 20  # sessions of an account; one more ends the one that was silent longest
_table, _accounts = database.sessions, database.accounts


class Session(NamedTuple):
    """account: empty for the owner of the state folder. created, seen: ns since 1970."""

    id: str
    account: str
    created: int
    seen: int
    address: str
    agent: str


class Sessions:
    def __init__(self, db: Database, clock: Clock, idle: float, most: float) -> None:
        """idle, most: seconds without a request, and in all, after which a session is over."""
        self._db = db
        self._clock = clock
        self._idle = round(idle * SECOND)
        self._most = round(most * SECOND)

    def begin(self, account: str, address: str, agent: str, replacing: str = "") -> str:
        """A new session; its id, which nobody knew before: one that was planted in the browser is worth nothing.

        replacing: the id of a session that ends with this.
        """
        made, now = secret.make(), self._clock.now()
        key = secret.key(made)
        row = Session(key[:6].hex(), account, now, now, address[:64], agent[:200])
        c = _table.c
        with self._db.begin() as connection:
            connection.execute(delete(_table).where(or_(c.key == secret.key(replacing), self._over(now))))
            connection.execute(insert(_table).values(key=key, **row._asdict()))
            newest = select(c.id).where(c.account == account).order_by(c.seen.desc(), c.created.desc()).limit(MOST)
            connection.execute(delete(_table).where(c.account == account, c.id.not_in(newest)))
        return made

    def find(self, session: str) -> tuple[Session, Role] | None:
        """The session and the role of its account now; None where it is over, or its account disabled."""
        key, now, c = secret.key(session), self._clock.now(), _table.c
        joined = _table.outerjoin(_accounts, _accounts.c.name == c.account)
        found = select(_table, _accounts.c.role, _accounts.c.disabled).select_from(joined).where(c.key == key)
        with self._db.begin() as connection:
            row = connection.execute(found.where(~self._over(now))).first()
        if row is None or row.disabled or (row.account and row.role is None):
            return None
        if row.seen <= now - STEP:
            with self._db.begin() as connection:
                connection.execute(update(_table).where(c.key == key).values(seen=now))
        return _session(row), Role(row.role) if row.account else Role.ADMIN

    def of(self, account: str) -> list[Session]:
        c, now = _table.c, self._clock.now()
        mine = select(_table).where(c.account == account, ~self._over(now)).order_by(c.seen.desc())
        with self._db.begin() as connection:
            return [_session(row) for row in connection.execute(mine)]

    def end(self, account: str, id: str = "", *, but: str = "") -> int:
        """Ends one session of an account, by its public id, or all but one; how many there were."""
        c = _table.c
        chosen = and_(c.account == account, c.id == id if id else c.id != but)
        with self._db.begin() as connection:
            return connection.execute(delete(_table).where(chosen)).rowcount

    def _over(self, now: int) -> ColumnElement[bool]:
        return or_(_table.c.seen <= now - self._idle, _table.c.created <= now - self._most)


def _session(row: object) -> Session:
    return Session(*(getattr(row, name) for name in Session._fields))
