import getpass
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from managers.uim.api.cluster import Member
from managers.uim.web.pages import processes

from .conftest import House, event

_VOID = {"meta", "link", "input", "br", "hr", "img"}


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


def _fill(client: httpx.Client) -> str:
    client.post("/v1/events", json=event("1", data={"load": 97}))
    answer = client.post("/v1/events", json=event("2", subject="<b>n2</b>", data={"load": 50, "gpu": 95}))
    return str(answer.json()["decisions"][0]["id"])


def test_the_page_shows_nodes_decisions_cases_and_processes(client: httpx.Client) -> None:
    _fill(client)
    text = Page(client.get("/").text).text
    for words in ("gpu-1", "82 %", "observe: would relieve", "the spec consults on relieve, hold", "demo", "80 MB"):
        assert words in text
    assert "<b>n2</b>" in text


def test_the_page_asks_no_other_host_and_runs_nothing_inline(client: httpx.Client) -> None:
    id = _fill(client)
    for path in ("/", f"/decisions/{id}", "/login"):
        for tag, attributes in Page(client.get(path).text).elements:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "action"):
                assert attributes.get(name, "/").startswith("/")
            assert tag != "script" or attributes["src"] == "/static/live.js"


def test_without_javascript_the_page_renews_itself(client: httpx.Client) -> None:
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in Page(client.get("/").text).elements


def test_a_case_is_answered_by_its_button(client: httpx.Client, house: House) -> None:
    id = _fill(client)
    forms = [a for tag, a in Page(client.get("/").text).elements if tag == "form" and a["action"] == f"/cases/{id}"]
    assert len(forms) == 2
    answer = client.post(f"/cases/{id}", data={"action": "hold", "args": "{}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get(f"/v1/decisions/{id}").json()["tier"] == "operator"
    again = client.post(f"/cases/{id}", data={"action": "hold", "args": "{}"})
    assert again.status_code == 409
    assert f"answered by {getpass.getuser()} before" in Page(again.text).text


@pytest.mark.parametrize(
    "form", [{}, {"action": "hold", "args": "{"}, {"action": "hold", "args": "[]"}, {"action": "x" * 99}]
)
def test_a_broken_form_changes_nothing(client: httpx.Client, form: dict[str, str]) -> None:
    id = _fill(client)
    assert client.post(f"/cases/{id}", data=form).status_code == 422
    assert client.get(f"/v1/decisions/{id}").json()["status"] == "waiting"


def test_a_freeze_is_announced_on_the_page(client: httpx.Client) -> None:
    assert "Frozen" not in Page(client.get("/").text).text
    client.post("/freeze", data={"on": "1"})
    assert f"Frozen by {getpass.getuser()}." in Page(client.get("/").text).text
    client.post("/freeze", data={"on": "0"})
    assert "Frozen" not in Page(client.get("/").text).text


def test_the_page_of_a_decision_shows_every_comparison(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event("1", data={"load": 97})).json()
    text = Page(client.get(f"/decisions/{answer['decisions'][0]['id']}").text).text
    assert "load > limit load is 97%, limit is 80%" in text
    assert "gpu absent" in text


def test_the_page_stands_while_everybody_else_is_away(client: httpx.Client, house: House) -> None:
    _fill(client)
    house.link.away |= {"demo", "uim", "gate", "root", "ufm"}
    answer = client.get("/")
    assert answer.status_code == 200
    assert "observe: would relieve" in Page(answer.text).text
    assert client.get("/decisions/absent").status_code == 404


def _member(name: str, above: str, status: str = "running", pid: int = 7) -> Member:
    return Member(name=name, supervisor=above, status=status, since="", restarts=0, pid=pid, node="")


def test_a_supervisor_of_one_is_shown_as_its_process_and_as_having_given_up() -> None:
    tree = [
        _member("elias", "", pid=0),
        _member("watch.ufm", "elias", "gave up", 0),
        _member("ufm", "watch.ufm", "stopped", 0),
    ]
    rows = [(row["depth"], row["m"].name, row["status"], row["group"]) for row in processes(tree)]
    assert rows == [(0, "elias", "running", True), (1, "ufm", "gave up", False)]
