"""Notices in a chat: blocks, a text for those who show none, and nothing that could be taken for markup."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.targets import Slack
from managers.ucm.channels.slack import payload
from managers.ucm.notice import FIELDS, LONGEST, SHORT, Notice, one_line

from .chat import Chat, _sound
from .conftest import PATIENCE
from .post import PAGE, Post

NOTICE = {
    "title": "node-4 is down",
    "text": "No report for 90 s. <!channel> & more",
    "link": "/cases/3f9a",
    "label": "Open the case",
    "fields": {"jobs": "3", "rack": "b2"},
}


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with Chat().serving() as chat:
        yield chat  # type: ignore[misc]


@pytest.fixture
async def office(tmp_path: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    monkeypatch.setenv("CHAT_URL", chat.url)
    (tmp_path / "url").write_text(f"{chat.url}\n")
    post = Post(
        tmp_path,
        team=Slack(kind="slack", url_env="CHAT_URL", timeout=PATIENCE),
        filed=Slack(kind="slack", url_file=tmp_path / "url", timeout=PATIENCE),
        unset=Slack(kind="slack", url_env="NOT_SET", timeout=PATIENCE),
    )
    yield post
    await post.close()


@pytest.mark.parametrize("target", ["team", "filed"])
async def test_a_notice_is_shown_with_a_link_to_the_case(office: Post, chat: Chat, target: str) -> None:
    office.send(NOTICE, target=target)
    await office.act()
    (got,) = chat.got
    header, text, fields, link = got.json["blocks"]
    assert header["text"]["text"] == "node-4 is down"
    assert text["text"]["text"] == "No report for 90 s. &lt;!channel&gt; &amp; more"
    assert [field["text"] for field in fields["fields"]] == ["*jobs*\n3", "*rack*\nb2"]
    assert link["text"]["text"] == f"<{PAGE}/cases/3f9a|Open the case>"
    assert office.target(target)["delivered"] == 1


async def test_who_shows_no_blocks_reads_the_same_in_the_text(office: Post, chat: Chat) -> None:
    office.send(NOTICE, target="team")
    await office.act()
    text = chat.got[0].json["text"]
    for part in ("node-4 is down", "No report for 90 s.", "jobs: 3", "rack: b2", f"{PAGE}/cases/3f9a"):
        assert part in text
    assert "<!channel>" not in text


async def test_the_address_never_reaches_the_ledger_or_the_event(office: Post, chat: Chat) -> None:
    office.send(NOTICE, target="team")
    await office.act()
    assert chat.url.encode() not in b"".join(record.body for record in office.store.read())


@pytest.mark.parametrize(("answer", "failure"), [((404, {"body": "channel_not_found"}), "rejected"), (503, "server")])
async def test_what_the_chat_says_for_a_reason_is_on_record(
    office: Post, chat: Chat, answer: Any, failure: str
) -> None:
    chat.answers.append(answer)
    message = office.send(NOTICE, target="team").id
    await office.act()
    outcomes = b"".join(r.body for r in office.store.read() if r.header.kind == "outcome")
    assert failure.encode() in outcomes
    assert (b"HTTP 404, channel_not_found" in outcomes) == (failure == "rejected")
    await office.pass_time(2)
    assert [dead["id"] for dead in office.dead()] == ([message] if failure == "rejected" else [])


async def test_a_chat_that_asks_for_patience_gets_it(office: Post, chat: Chat) -> None:
    chat.answers.append((429, {"retry-after": "30"}))
    office.send(NOTICE, target="team")
    await office.act()
    await office.pass_time(29, step=1)
    assert len(chat.got) == 1
    await office.pass_time(2, step=1)
    assert len(chat.got) == 2


async def test_without_its_address_nothing_is_lost(office: Post) -> None:
    office.send(NOTICE, target="unset")
    await office.act()
    assert office.waiting() == 1
    assert b"`NOT_SET` is not set" in b"".join(r.body for r in office.store.read())


@pytest.mark.parametrize(
    "body",
    [
        "just words",
        {"text": "without a title"},
        {"title": "  "},
        {"title": "x", "blocks": []},
        {"title": "x", "link": "javascript:alert(1)"},
        {"title": "x", "text": "y" * (LONGEST + 1)},
        {"title": "x" * (SHORT + 1)},
        {"title": "x", "fields": {str(n): "" for n in range(FIELDS + 1)}},
    ],
)
async def test_what_is_no_notice_is_refused_with_a_cure(office: Post, body: object) -> None:
    reply = office.send(body, target="team")
    assert (reply.status, reply.code, reply.place) == (422, "bad-notice", "data.body")
    assert reply.cure
    assert office.waiting() == 0


_words = st.text(max_size=SHORT)


@given(
    st.builds(
        Notice,
        title=_words.filter(one_line),
        text=st.text("<>&a\n", max_size=LONGEST),
        link=st.sampled_from(["", "/cases/1", "https://example.org/"]),
        fields=st.dictionaries(_words, _words, max_size=FIELDS),
    )
)
def test_any_notice_keeps_the_limits_of_blocks(notice: Notice) -> None:
    said = payload(notice, PAGE)
    assert all(map(_sound, said["blocks"]))
    assert 1 <= len(said["text"]) <= 40_000
