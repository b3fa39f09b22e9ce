"""WCAG 2.2 AA on every page, light and dark, wide and narrow: what axe-core finds, and what it cannot."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from managers.uim.cases.queue import Wanted

from .conftest import AXE, Visits
from .ward import Ward, ward

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATHS = (
    "/",
    "/cases",
    "/cases/{case}",
    "/decisions",
    "/decisions/{decision}",
    "/nodes",
    "/nodes/n01",
    "/apps",
    "/messages",
    "/managers",
    "/managers/urm",
    "/specs",
    "/policy",
    "/ledger",
    "/ledger/400",
    "/settings",
    "/search?q=n01",
    "/account",
    "/accounts",
    "/cases/nothing",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = f"axe.run(document, {{runOnly: {RULES}, resultTypes: ['violations']}}).then((result) => result.violations)"
SMALL = """() => [...document.querySelectorAll("a, button, input, select, summary")].filter((node) => {
  const box = node.getBoundingClientRect(), text = node.closest("p, td, li, dd, h2, .crumbs");
  const inline = node.matches("a") && text && text.textContent.trim() !== node.textContent.trim();
  const spaced = ".skip, .hear *, td a, p a, li a, dd a, label input"; // in a line of text, or with 24 px around it
  return box.width && !inline && !node.matches(spaced) && (box.width < 24 || box.height < 24);
}).map((node) => node.outerHTML)"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with ward(tmp_path_factory.mktemp("cluster"), seconds=600.0) as made:
        yield made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_no_violation_on_any_page(cluster: Ward, visit: Visits, scheme: str, size: dict[str, int]) -> None:
    found = {}
    for path, page in _pages(cluster, visit, scheme, size):
        page.evaluate(AXE.read_text())
        violations = page.evaluate(LOOK)
        if violations:
            found[path] = [_brief(violation) for violation in violations]
    assert found == {}


@pytest.mark.timeout(900)
def test_on_a_phone_no_page_scrolls_sideways_and_every_target_is_large_enough(cluster: Ward, visit: Visits) -> None:
    found = {}
    for path, page in _pages(cluster, visit, "light", NARROW):
        width = page.evaluate("document.documentElement.scrollWidth")
        small = page.evaluate(SMALL)
        if width > NARROW["width"] or small:
            found[path] = (width, small)
    assert found == {}


def test_a_person_who_wants_no_motion_gets_none(cluster: Ward, visit: Visits) -> None:
    page = visit.page(reduced_motion="reduce", extra_http_headers={"Authorization": f"Bearer {cluster.token}"})
    page.goto(f"{cluster.url}/cases")
    page.evaluate("document.querySelector('[data-row]').classList.add('fresh')")
    assert page.evaluate("getComputedStyle(document.querySelector('.fresh')).animationName") == "none"


def _pages(cluster: Ward, visit: Visits, scheme: str, size: dict[str, int]) -> Iterator[tuple[str, Page]]:
    case = cluster.uim.book.page(Wanted(limit=1)).groups[0].id
    decision = cluster.context.reader.page(_one()).decisions[0].id
    headers = {"Authorization": f"Bearer {cluster.token}"}
    page = visit.page(viewport=size, color_scheme=scheme, extra_http_headers=headers, bypass_csp=True)
    for path in PATHS:
        answer = page.goto(cluster.url + path.format(case=case, decision=decision))
        assert answer is not None
        assert answer.status < 500, path
        yield path, page


def _one() -> Any:
    from managers.uim.reading import Wanted as Decisions

    return Decisions(point="urm.package", limit=1)


def _brief(violation: dict[str, Any]) -> tuple[str, list[Any]]:
    return violation["id"], [node["target"] for node in violation["nodes"][:3]]


def test_axe_is_there() -> None:
    assert AXE.exists(), "`make programs` installs axe-core; it is not kept in the repository"
