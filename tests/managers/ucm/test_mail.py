"""Mail to a real server: TLS that is checked, logins, what a mailbox answers, and what a reader sees."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from federation.targets import Email

from .conftest import PATIENCE
from .mailserver import PASSWORD, USER, Mailbox, serving
from .post import PAGE, Post

NOTICE = {
    "title": "node-4 is down",
    "text": "No report for 90 s.\nIts jobs are <not> restarted.",
    "link": "/cases/3f9a",
    "label": "Open the case",
    "fields": {"jobs": "3"},
}
Make = Callable[..., Post]


def outcomes(post: Post) -> bytes:
    return b"\n".join(record.body for record in post.store.read() if record.header.kind == "outcome")


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    made: list[Post] = []

    def make(port: int, tls: str = "starttls", **more: Any) -> Post:
        login = {} if tls == "none" else {"user": USER, "password_env": "MAIL_PASSWORD", "ca_file": tmp_path / "ca.pem"}
        given = {"sender": "elias@example.org", "to": ["duty@example.org"], "timeout": PATIENCE, **login, **more}
        duty = Email.model_validate({"kind": "email", "host": "127.0.0.1", "port": port, "tls": tls, **given})
        made.append(Post(tmp_path, duty=duty))
        return made[-1]

    yield make
    for post in made:
        await post.close()


@pytest.fixture
async def starttls(box: Mailbox, tmp_path: Path) -> AsyncIterator[int]:
    async with serving(box, "starttls", tmp_path) as port:
        yield port


@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
async def test_a_notice_arrives_as_mail(office: Make, box: Mailbox, tmp_path: Path, tls: str) -> None:
    async with serving(box, tls, tmp_path) as port:
        post = office(port, tls)
        message = post.send(NOTICE, target="duty", subject="node-4").id
        await post.act()
    (mail,) = box.got
    assert box.private == [(tls != "none", tls != "none")]
    assert (mail["Subject"], mail["From"], mail["To"]) == ("node-4 is down", "elias@example.org", "duty@example.org")
    assert mail["Message-ID"] == f"<{message}@example.org>"
    assert post.target("duty")["delivered"] == 1


async def test_both_parts_say_the_same_and_link_to_the_case(office: Make, box: Mailbox, starttls: int) -> None:
    post = office(starttls)
    post.send(NOTICE, target="duty")
    await post.act()
    plain, html = (box.got[0].get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    for part in ("node-4 is down", "No report for 90 s.", "jobs", f"{PAGE}/cases/3f9a", "Open the case"):
        assert part in plain.get_content()
        assert part in html.get_content()
    assert "<not>" in plain.get_content()
    assert "&lt;not&gt;" in html.get_content()


async def test_mails_about_one_subject_stand_together_and_a_repeat_is_the_same_mail(
    office: Make, box: Mailbox, starttls: int
) -> None:
    box.replies.append("451 try again")
    post = office(starttls)
    for subject in ("case 1", "case 1", "case 2"):
        post.send(NOTICE, target="duty", subject=subject)
    await post.act()
    await post.pass_time(5, step=1)
    assert len(box.got) == 3
    assert len({mail["References"] for mail in box.got}) == 2
    assert len({mail["Message-ID"] for mail in box.got}) == 3


async def test_a_title_cannot_add_a_header(office: Make, box: Mailbox, starttls: int) -> None:
    post = office(starttls)
    post.send({"title": "x\r\nBcc: everybody@example.org"}, target="duty")
    await post.act()
    (mail,) = box.got
    assert mail["Bcc"] is None
    assert mail["Subject"] == "x Bcc: everybody@example.org"


async def test_titles_in_any_script_arrive(office: Make, box: Mailbox, starttls: int) -> None:
    post = office(starttls)
    post.send({"title": "Knoten größer, 节点 4 🔥", "text": "größer"}, target="duty")
    await post.act()
    assert box.got[0]["Subject"] == "Knoten größer, 节点 4 🔥"


@pytest.mark.parametrize(
    ("reply", "failure", "dead"),
    [("451 greylisted", "throttled", False), ("550 no", "rejected", True), ("421 closing", "server", False)],
)
async def test_what_may_pass_is_tried_again_and_what_will_not_is_dead(
    office: Make, box: Mailbox, starttls: int, reply: str, failure: str, dead: bool
) -> None:
    box.replies.append(reply)
    post = office(starttls)
    post.send(NOTICE, target="duty")
    await post.act()
    assert f'"failure":"{failure}"'.encode() in outcomes(post)
    await post.pass_time(3, step=1)
    assert ([one["status"] for one in post.dead()], len(box.got)) == (([550], 0) if dead else ([], 1))


async def test_a_mailbox_that_is_gone_does_not_keep_the_mail_from_the_others(
    office: Make, box: Mailbox, starttls: int
) -> None:
    box.refusals["gone@example.org"] = "550 nobody here"
    post = office(starttls, to=["duty@example.org", "gone@example.org"])
    post.send(NOTICE, target="duty")
    await post.act()
    assert len(box.got) == 1
    assert b"1 of 2 recipients refused" in outcomes(post)


async def test_when_nobody_can_have_it_the_mail_is_dead(office: Make, box: Mailbox, starttls: int) -> None:
    box.refusals["duty@example.org"] = "550 nobody here"
    post = office(starttls)
    post.send(NOTICE, target="duty")
    await post.act()
    await post.pass_time(1)
    (dead,) = post.dead()
    assert (dead["failure"], dead["status"]) == ("rejected", 550)


async def test_a_wrong_password_is_said_and_never_told(
    office: Make, box: Mailbox, starttls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret typo")
    post = office(starttls)
    post.send(NOTICE, target="duty")
    await post.act()
    assert b"SMTP 535" in outcomes(post)
    assert not re.search(rb"s3cret|correct horse", b"".join(record.body for record in post.store.read()))


@pytest.mark.parametrize("more", [{"ca_file": None}, {"host": "localhost"}])
async def test_a_certificate_that_does_not_fit_gets_no_mail(
    office: Make, box: Mailbox, starttls: int, more: dict[str, Any]
) -> None:
    post = office(starttls, **more)
    message = post.send(NOTICE, target="duty").id
    await post.act()
    assert (box.got, post.ucm.state.queue.messages[message].failure) == ([], "unreachable")


async def test_a_server_without_tls_gets_neither_mail_nor_password(office: Make, box: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    async with serving(box, "none", tmp_path) as port:
        post = office(port, "starttls", ca_file=None)
        message = post.send(NOTICE, target="duty").id
        await post.act()
    assert (box.got, post.ucm.state.queue.messages[message].attempts) == ([], 1)


async def test_a_server_that_falls_silent_is_left_in_time(office: Make, box: Mailbox, starttls: int) -> None:
    box.replies.append("hang")
    post = office(starttls, timeout=0.5)
    message = post.send(NOTICE, target="duty").id
    await post.act()
    assert post.ucm.state.queue.messages[message].failure == "unreachable"


async def test_a_server_that_is_away_is_tried_again(office: Make, box: Mailbox) -> None:
    post = office(9, "none")
    message = post.send(NOTICE, target="duty").id
    await post.act()
    assert post.ucm.state.queue.messages[message].failure == "unreachable"
