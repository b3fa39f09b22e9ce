"""The pages as any browser gets them: by links and forms, without JavaScript."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from federation.records import Entry, Kind, Scored
from managers.uim.api.cluster import Member
from managers.uim.web import queue
from managers.uim.web.managers import processes

from .conftest import House, event

_VOID = {"meta", "link", "input", "br", "hr", "img"}
PAGES = (
    "/",
    "/cases",
    "/cases?priority=high&state=open",
    "/decisions",
    "/decisions?point=demo.load&tier=rule&subject=n1",
    "/nodes",
    "/nodes?q=gpu",
    "/apps",
    "/messages",
    "/managers",
    "/managers/demo",
    "/specs",
    "/policy",
    "/ledger",
    "/ledger?kind=asked&point=demo.load",
    "/ledger/3",
    "/settings",
    "/search",
    "/search?q=gpu",
)


class Page(HTMLParser):
    """The elements of a page with their attributes; every one that is opened must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _fill(client: httpx.Client) -> str:
    client.post("/v1/events", json=event("1", data={"load": 97}))
    answer = client.post("/v1/events", json=event("2", subject="<b>n2</b>", data={"load": 50, "gpu": 95}))
    return str(answer.json()["decisions"][0]["id"])


def _alike(client: httpx.Client, number: int) -> list[str]:
    """So many open cases of one group; the first one names it."""
    events = [event(f"g{n}", subject=f"g{n}", data={"load": 50, "gpu": 95}) for n in range(number)]
    return [client.post("/v1/events", json=one).json()["decisions"][0]["id"] for one in events]


def _get(client: httpx.Client, path: str) -> Page:
    answer = client.get(path, headers={"accept": "text/html"}, follow_redirects=True)
    assert answer.status_code == 200
    return Page(answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_no_other_host_and_runs_nothing_inline(client: httpx.Client, path: str) -> None:
    _fill(client)
    for tag, attributes in _get(client, path).elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "formaction"):
            assert attributes.get(name, "/").startswith(("/", "#"))
        assert tag != "script" or attributes["src"] == "/static/live.js"
        assert tag != "style"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_title_a_heading_and_a_way_past_its_frame(client: httpx.Client, path: str) -> None:
    _fill(client)
    page = _get(client, path)
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
    assert page.of("a")[0]["href"] == "#main"
    assert len([link for link in page.of("a") if "aria-current" in link]) <= 1


@pytest.mark.parametrize("path", PAGES)
def test_every_form_that_changes_something_carries_its_proof(house: House, path: str) -> None:
    with house.client() as client, house.browser() as browser:
        _fill(client)
        text = _get(browser, path)
        forms = [form for form in text.of("form") if form.get("method") == "post"]
        proofs = [field for field in text.of("input") if field.get("name") == "csrf"]
        assert len(forms) == len(proofs)
        assert all(len(field["value"]) == 64 for field in proofs)


@pytest.mark.parametrize("path", ["/", "/cases"])
def test_without_javascript_a_page_that_must_be_fresh_renews_itself(client: httpx.Client, path: str) -> None:
    assert [meta for meta in _get(client, path).of("meta") if meta.get("http-equiv") == "refresh"]


def test_the_first_page_says_what_waits_what_happens_and_how_everything_does(client: httpx.Client) -> None:
    _fill(client)
    text = _get(client, "/").text
    for words in ("observe: would relieve", "relieve is proposed", "1 of 1 up", "of 3 run", "Acknowledge"):
        assert words in text
    assert "<b>n2</b>" in text


def test_a_freeze_is_announced_on_every_page(client: httpx.Client) -> None:
    client.post("/freeze", data={"on": "1"})
    assert "Frozen by" in _get(client, "/nodes").text
    client.post("/freeze", data={"on": "0"})
    assert "Frozen by" not in _get(client, "/nodes").text


def test_the_queue_groups_what_is_alike_and_filters(client: httpx.Client) -> None:
    _alike(client, 5)
    text = _get(client, "/cases").text
    assert "5 wait in 1 group" in text
    assert "and 2 more" in text
    assert "No group matches" in _get(client, "/cases?manager=uim").text


def test_a_long_queue_is_read_page_by_page(client: httpx.Client, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LIMIT", 2)
    for number in range(5):
        client.post("/v1/events", json=event(f"q{number}", subject=f"q{number}", data={"load": 50, "gpu": 95}))
        house.clock.advance(1000)  # so that each is a group of its own
    path, seen = "/cases?manager=demo", []
    while path:
        page = _get(client, path)
        seen += [word.strip(",") for word in page.words if re.fullmatch(r"q\d,?", word)]
        path = next((a["href"] for a in page.of("a") if "after=" in a["href"]), "")
    assert list(dict.fromkeys(seen)) == ["q0", "q1", "q2", "q3", "q4"]


def test_a_case_shows_what_it_is_judged_by(client: httpx.Client) -> None:
    client.post("/v1/events", json=event("far", subject="n3", data={"load": 100, "gpu": 1}))
    client.post("/v1/events", json=event("near", subject="n4", data={"load": 81, "gpu": 94}))
    first = _fill(client)
    text = _get(client, f"/cases/{first}").text
    assert "load > limit load is 50%, limit is 80%" in text  # a rule that did not fire, beside its threshold
    assert "30% away" in text
    assert "If nobody answers, hold answers" in text
    assert "take something away" in text
    assert "% alike" in text  # a decision before, on similar facts


def test_the_page_of_a_decision_shows_every_comparison(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event("1", data={"load": 97})).json()
    text = _get(client, f"/decisions/{answer['decisions'][0]['id']}").text
    assert "load > limit load is 97%, limit is 80%" in text
    assert "gpu absent" in text


def test_a_case_is_answered_by_its_form_and_the_page_after_it_says_so(client: httpx.Client) -> None:
    id = _fill(client)
    number = _candidate(client, id, "hold")
    answer = client.post(f"/cases/{id}/answer", data={"candidate": number, "words": "not now"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases")
    assert "you answered hold" in _get(client, "/cases").text
    assert "you answered hold" not in _get(client, "/cases").text
    found = client.get(f"/v1/decisions/{id}").json()
    assert (found["action"], found["tier"], found["words"]) == ("hold", "operator", "not now")


def test_what_a_form_did_is_not_told_to_a_page_that_only_renews_itself(client: httpx.Client) -> None:
    client.post(f"/cases/{_fill(client)}/acknowledge")
    assert 'class="told"' not in client.get("/cases", headers={"elias-renews": "1"}).text
    assert 'class="told"' in client.get("/cases").text


def test_whoever_answers_second_is_told_who_was_first(client: httpx.Client) -> None:
    id = _fill(client)
    client.post(f"/cases/{id}/answer", data={"candidate": _candidate(client, id, "hold")})
    again = client.post(f"/cases/{id}/answer", data={"candidate": _candidate(client, id, "relieve")})
    assert again.status_code == 409
    assert "`hold` was answered by" in Page(again.text).text
    assert client.get(f"/v1/decisions/{id}").json()["action"] == "hold"


@pytest.mark.parametrize("form", [{}, {"candidate": "9"}, {"candidate": "x"}, {"candidate": "-1"}])
def test_a_broken_form_changes_nothing(client: httpx.Client, form: dict[str, str]) -> None:
    id = _fill(client)
    assert client.post(f"/cases/{id}/answer", data=form).status_code == 422
    assert client.get(f"/v1/decisions/{id}").json()["status"] == "waiting"


def test_many_alike_cases_are_approved_at_once(client: httpx.Client) -> None:
    ids = _alike(client, 4)
    client.post("/cases", data={"do": "approve", "group": ids[0], "words": "all the same"})
    assert "4 answered relieve." in _get(client, "/cases").text
    assert {client.get(f"/v1/decisions/{id}").json()["action"] for id in ids} == {"relieve"}


def test_a_bulk_without_a_tick_says_what_to_do(client: httpx.Client) -> None:
    answer = client.post("/cases", data={"do": "approve"})
    assert answer.status_code == 422
    assert "no group is ticked" in Page(answer.text).text


@pytest.mark.parametrize(
    ("do", "more", "shown"),
    [
        ("acknowledge", {}, "yours"),
        ("snooze", {"for": "900"}, "snoozed until"),
        ("assign", {"to": "dana"}, "dana has it"),
        ("comment", {"words": "fans are loud"}, "fans are loud"),
    ],
)
def test_what_is_said_of_a_case_is_shown_on_it(client: httpx.Client, do: str, more: dict[str, str], shown: str) -> None:
    id = _fill(client)
    assert client.post(f"/cases/{id}/{do}", data=more).status_code == 303
    assert shown in _get(client, f"/cases/{id}").text


def test_what_one_has_is_handed_on_with_a_reason(client: httpx.Client) -> None:
    id = _fill(client)
    assert "Delegate" not in _get(client, f"/cases/{id}").text
    client.post(f"/cases/{id}/acknowledge")
    assert "Delegate" in _get(client, f"/cases/{id}").text
    client.post(f"/cases/{id}/delegate", data={"to": "dana", "words": "it is her rack"})
    text = _get(client, f"/cases/{id}").text
    assert "dana has it" in text
    assert "delegated it to dana: it is her rack" in text


def test_what_a_colleague_has_is_taken_over_by_a_word_that_says_so(client: httpx.Client) -> None:
    id = _fill(client)
    client.post(f"/cases/{id}/assign", data={"to": "dana"})
    text = _get(client, f"/cases/{id}").text
    assert "Take over from dana" in text
    assert "Snooze" not in text
    refused = client.post(f"/cases/{id}/acknowledge")
    assert refused.status_code == 409
    assert "dana has it" in Page(refused.text).text
    client.post(f"/cases/{id}/acknowledge", data={"take": "1"})
    assert "yours" in _get(client, f"/cases/{id}").text


@pytest.mark.parametrize(("do", "form"), [("assign", {"to": " "}), ("comment", {"words": " "}), ("admire", {})])
def test_a_word_that_says_nothing_is_refused(client: httpx.Client, do: str, form: dict[str, str]) -> None:
    id = _fill(client)
    answer = client.post(f"/cases/{id}/{do}", data=form)
    assert answer.status_code == 422
    assert "nobody has it" in _get(client, f"/cases/{id}").text


def test_whoever_overrides_the_policy_says_why(house: House, client: httpx.Client) -> None:
    id = _fill(client)
    relieve, hold = (_candidate(client, id, action) for action in ("relieve", "hold"))
    said = Scored("a" * 64, "embedded", [0, 1], [-0.1, -2.3], int(relieve), 0.9, 0.95, "operator", "not sure", 1)
    house.uim.book.fold(Entry(Kind.SCORED, "demo.load", "n1", id, b""), said)
    silent = client.post(f"/cases/{id}/answer", data={"candidate": hold, "words": " "})
    assert silent.status_code == 422
    assert "you have not said why" in Page(silent.text).text
    assert client.post(f"/cases/{id}/answer", data={"candidate": hold, "words": "it ends soon"}).status_code == 303
    assert client.get(f"/v1/decisions/{id}").json()["action"] == "hold"


def test_a_case_that_was_answered_is_shown_as_its_decision(client: httpx.Client) -> None:
    id = _fill(client)
    client.post(f"/cases/{id}/approve")
    answer = client.get(f"/cases/{id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/decisions/{id}")


def test_a_form_leads_back_to_the_page_it_was_on_and_never_elsewhere(client: httpx.Client) -> None:
    id = _fill(client)
    for referer, to in (("http://x/cases?after=3", "/cases?after=3"), ("http://x//evil.example/", "/"), ("", "/")):
        answer = client.post(f"/cases/{id}/acknowledge", headers={"referer": referer})
        assert answer.headers["location"] == to


def test_the_mode_of_an_action_is_set_on_the_page_of_its_manager(client: httpx.Client) -> None:
    client.post("/modes", data={"action": "demo.load/relieve", "mode": "act"})
    page = client.get("/managers/demo").text
    assert re.search(r"<option selected>act</option>", page)


def test_a_record_is_shown_with_a_proof_that_holds(client: httpx.Client) -> None:
    _fill(client)
    text = _get(client, "/ledger/3").text
    assert "in the ledger, proven" in text
    assert client.get("/ledger/9999").status_code == 422


def test_colours_and_keys_are_kept_by_the_browser(client: httpx.Client) -> None:
    assert "data-keys" in client.get("/").text
    client.post("/settings", data={"theme": "dark", "keys": "off"})
    page = client.get("/").text
    assert 'data-theme="dark"' in page
    assert "data-keys" not in page
    assert client.post("/settings", data={"theme": "<b>"}).status_code == 422


def test_settings_are_shown_and_secrets_are_not(client: httpx.Client, house: House) -> None:
    text = _get(client, "/settings").text
    assert "listen.port" in text
    assert house.token not in text


@pytest.mark.parametrize(
    ("wanted", "to"),
    [("9dad848ba306d640fb9a01af7dbe415a", "/decisions/9dad848ba306d640fb9a01af7dbe415a"), ("12", "/ledger/12")],
)
def test_the_search_goes_to_what_has_a_number(client: httpx.Client, wanted: str, to: str) -> None:
    assert client.get("/search", params={"q": wanted}).headers["location"] == to


def test_the_search_finds_names_and_subjects(client: httpx.Client) -> None:
    _fill(client)
    text = _get(client, "/search?q=n1").text
    assert "Decisions about it" in text
    assert "demo.load decision point" in _get(client, "/search?q=demo").text


def test_the_pages_stand_while_everybody_else_is_away(client: httpx.Client, house: House) -> None:
    id = _fill(client)
    house.link.away |= {"demo", "gate", "root", "ufm", "uam", "ucm"}
    for path in (*PAGES, f"/cases/{id}"):
        assert client.get(path, follow_redirects=True).status_code == 200
    assert "not known" in _get(client, "/").text
    assert client.get("/decisions/absent").status_code == 404


def _candidate(client: httpx.Client, id: str, action: str) -> str:
    candidates = client.get(f"/v1/decisions/{id}").json()["candidates"]
    return str(next(number for number, one in enumerate(candidates) if one["action"] == action))


def _member(name: str, above: str, status: str = "running", pid: int = 7) -> Member:
    return Member(name=name, supervisor=above, status=status, since="", restarts=0, pid=pid, node="")


def test_a_supervisor_of_one_is_shown_as_its_process_and_as_having_given_up() -> None:
    tree = [
        _member("elias", "", pid=0),
        _member("watch.ufm", "elias", "gave up", 0),
        _member("ufm", "watch.ufm", "stopped", 0),
    ]
    rows = [(row.depth, row.m.name, row.status, row.group) for row in processes(tree)]
    assert rows == [(0, "elias", "running", True), (1, "ufm", "gave up", False)]
