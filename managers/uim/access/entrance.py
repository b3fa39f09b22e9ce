"""Everything by which somebody comes in: the token of the first day, a session, an API token, a password, a link."""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from federation.clock import Clock
from federation.errors import Refused, Temporary
from federation.settings import Settings
from managers.uim import tokens
from managers.uim.access import apitokens, oidc, passwords
from managers.uim.access.accounts import Account, Accounts
from managers.uim.access.apitokens import Tokens
from managers.uim.access.database import Database
from managers.uim.access.links import Links
from managers.uim.access.person import Person, Role
from managers.uim.access.sessions import Session, Sessions
from managers.uim.access.throttle import Throttle, TooSoon

HASHING = 2  # passwords hashed at a time, with 64 MiB each
QUEUE = 50  # passwords that wait for it; more are turned away

_T = TypeVar("_T")


class Entered(NamedTuple):
    """Who came in, and by which session if by one."""

    person: Person
    session: Session | None


class Entrance:
    def __init__(self, settings: Settings, clock: Clock, token: str) -> None:
        """token: of the first day. Raises Refused, Temporary or Corrupt when the accounts cannot be read."""
        self._db = Database.open(settings)
        self._clock = clock
        self._token = token.encode()
        self.owner = Person(tokens.owner(settings.state), Role.ADMIN, Role.ADMIN.scopes, "first-day token")
        self.accounts = Accounts(self._db, clock)
        self.sessions = Sessions(self._db, clock, settings.access.session_idle, settings.access.session_most)
        self.tokens = Tokens(self._db, clock, self.owner.name)
        self.links = Links(self._db, clock)
        self.oidc = oidc.Login(settings.access.oidc, clock) if settings.access.oidc else None
        # An account is locked for a minute at most, or anybody could keep its owner out; an address for longer.
        self._by_account = Throttle(free=10, longest=60)
        self._by_address = Throttle(free=5, longest=900)
        self._hashing = ThreadPoolExecutor(HASHING, "passwords")
        self._waiting = 0

    def close(self) -> None:
        self._hashing.shutdown(wait=False, cancel_futures=True)
        self._db.close()

    def is_first_day(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    async def by_bearer(self, given: str) -> Entered | None:
        """Of a token; of a session too, which is how `elias login` holds one."""
        if self.is_first_day(given):
            return Entered(self.owner, None)
        if not given.startswith(apitokens.PREFIX):
            return await self.by_session(given)
        person = await asyncio.to_thread(self.tokens.person, given)
        return Entered(person, None) if person else None

    async def by_session(self, id: str) -> Entered | None:
        found = await asyncio.to_thread(self.sessions.find, id)
        if found is None:
            return None
        session, role = found
        name = session.account or self.owner.name
        return Entered(Person(name, role, role.scopes, "session", session.account), session)

    async def by_password(self, name: str, password: str, address: str) -> Account:
        """Raises Refused: it is wrong; TooSoon: it was not even looked at, after so many wrong ones."""
        now = self._clock.now()
        wait = max(self._by_account.wait(name, now), self._by_address.wait(address, now))
        if wait:
            raise TooSoon(wait)
        # Counted before the answer is known: of many that are sent at once only the free ones are looked at.
        self._by_account.failed(name, now)
        self._by_address.failed(address, now)
        account = None
        if len(name) <= 64 and len(password) <= passwords.LONGEST:
            account = await self.hashing(lambda: self.accounts.proved(name, password))
        if account is None:
            cure = "see that Caps Lock is off; an administrator can set a new password"
            raise Refused("sign-in", "this name and password do not belong together", cure=cure)
        self._by_account.succeeded(name)
        self._by_address.succeeded(address)
        return account

    async def by_secret(self, check: Callable[[str], bool], given: str, address: str) -> bool:
        """Whether a link or a token that somebody typed is good, heard as seldom as passwords are."""
        now = self._clock.now()
        if wait := self._by_address.wait(address, now):
            raise TooSoon(wait)
        self._by_address.failed(address, now)
        good = await asyncio.to_thread(check, given[:256])
        if good:
            self._by_address.succeeded(address)
        return good

    async def hashing(self, work: Callable[[], _T]) -> _T:
        """Does what hashes a password, a few at a time and in threads of its own."""
        if self._waiting >= QUEUE:
            raise Temporary("too many people sign in at once")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, work)
        finally:
            self._waiting -= 1
