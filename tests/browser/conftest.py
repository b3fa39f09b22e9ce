"""A real Chromium on the pages of a real server. What they need is installed by `make programs`: Debian's chromium,
and the npm package axe-core in `build/axe`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from managers.uim.access import Role
from managers.uim.access.accounts import Accounts
from tests.managers.uim.conftest import House
from tests.programs import program

# Without the switches for the network, Chromium asks hosts of its maker at every start.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
PASSWORD = "a long enough password"
PATIENCE = 60_000  # ms: two slow cores, and nothing here is about speed
AXE = Path(__file__).parents[2] / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="package")  # it keeps an event loop running, in which no asynchronous test after these could run
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator["Visits"]:
    visits = Visits(chromium)
    yield visits
    visits.close()


class Visits:
    """Browsers of different people; each has cookies of its own."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    def page(self, **options: object) -> Page:
        context = self._chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        return page

    def signed_in(self, house: House, name: str, **options: object) -> Page:
        """As an operator, by the form."""
        page = self.page(**options)
        page.goto(f"{house.url}/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{house.url}/")
        return page

    def close(self) -> None:
        for context in self._contexts:
            # Chromium may never close a page that is just being replaced (microsoft/playwright#42366).
            for page in context.pages:
                page.goto("about:blank")
            context.close()
        assert self.problems == []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    accounts: Accounts = made.context.access.accounts
    for name in ("dana", "eli"):
        accounts.add(name, Role.OPERATOR, PASSWORD)
    yield made
    made.close()
