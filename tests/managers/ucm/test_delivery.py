"""Messages to a real HTTP server, on a clock of their own."""

import base64
import hashlib
import hmac

import pytest

from federation import desk
from federation.effects import Order
from federation.manager import Emission
from federation.records import Freeze, Kind, Mode
from managers.ucm.manager import Ucm

from .post import Post, Server


async def test_a_message_arrives_as_a_cloud_event(post: Post, server: Server) -> None:
    reply = post.send({"hello": "world"}, subject="größe 1", type="com.example.greeting")
    assert (reply.action, reply.mode) == ("deliver", "act")
    await post.act()
    (got,) = server.got
    assert got.json == {"hello": "world"}
    assert got.headers["ce-id"] == got.headers["idempotency-key"] == reply.id
    assert got.headers["ce-type"] == "com.example.greeting"
    assert got.headers["ce-subject"] == "gr%C3%B6%C3%9Fe%201"
    assert (post.waiting(), post.target()["delivered"]) == (0, 1)


async def test_a_delivery_is_signed_with_the_secret_that_never_reaches_the_ledger(
    post: Post, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    post.send([1, 2], target="signed")
    await post.act()
    (got,) = server.got
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert b"s3cret" not in b"".join(r.body for r in post.store.read())


async def test_without_its_secret_nothing_is_sent(post: Post, server: Server) -> None:
    post.send([1], target="signed")
    await post.act()
    assert (server.got, post.waiting()) == ([], 1)


@pytest.mark.parametrize("answer", [500, 503, 408, 425, 429, "drop"])
async def test_what_may_pass_is_tried_again_with_the_same_key(post: Post, server: Server, answer: int | str) -> None:
    server.answers.append(answer)
    post.send("x")
    await post.act()
    assert post.waiting() == 1
    await post.pass_time(1.0)
    assert [got.headers["elias-attempt"] for got in server.got] == ["1", "2"]
    assert len({got.headers["idempotency-key"] for got in server.got}) == 1
    assert post.waiting() == 0


async def test_a_target_that_does_not_answer_in_time_is_asked_again_later(post: Post, server: Server) -> None:
    server.answers.append("hang")
    message = post.send("x", target="hasty").id
    await post.act()
    waiting = post.ucm.state.queue.messages[message]
    assert (waiting.attempts, waiting.failure) == (1, "unreachable")


@pytest.mark.parametrize("answer", [400, 401, 404, 410, 422, 301])
async def test_what_a_target_refuses_is_dead_at_once(post: Post, server: Server, answer: int) -> None:
    server.answers.append((answer, {"location": server.url}))
    reply = post.send("x")
    await post.act()
    await post.pass_time(0.25)
    assert len(server.got) == 1
    (dead,) = post.dead()
    assert (dead["id"], dead["failure"], dead["status"], dead["attempts"]) == (reply.id, "rejected", answer, 1)


async def test_a_dead_letter_is_sent_again_when_a_person_says_so(post: Post, server: Server) -> None:
    server.answers.append(400)
    message = post.send({"n": 1}).id
    await post.act()
    await post.pass_time(0.25)
    assert post.resend(message).action == "deliver"
    await post.act()
    assert [got.json for got in server.got] == [{"n": 1}, {"n": 1}]
    assert (post.dead(), post.waiting()) == ([], 0)
    assert post.resend(message).code == "no-message"


async def test_attempts_wait_longer_each_time_and_end(post: Post, server: Server) -> None:
    server.answers.extend([429] * 20)
    post.send("x")
    await post.act()
    seen, waits, waited = 1, [], 0.0
    while not post.dead():
        await post.pass_time(0.25)
        waited += 0.25
        if len(server.got) > seen:
            seen = len(server.got)
            waits.append(waited)
            waited = 0.0
    assert len(server.got) == 10
    for number, wait in enumerate(waits):
        whole = min(300, 2**number)
        assert whole / 2 <= wait <= whole + 0.25
    assert post.dead()[0]["failure"] == "throttled"


async def test_a_target_may_ask_for_patience(post: Post, server: Server) -> None:
    server.answers.append((429, {"retry-after": "30"}))
    post.send("x")
    await post.act()
    await post.pass_time(29.5, step=0.5)
    assert len(server.got) == 1
    await post.pass_time(1.0)
    assert len(server.got) == 2


async def test_an_old_message_is_dead_although_its_target_never_answered(post: Post) -> None:
    post.send("x", target="closed")
    await post.act()
    await post.pass_time(86_400 + 600, step=600)
    assert len(post.dead()) == 1


async def test_one_subject_keeps_its_order_although_the_first_one_fails(post: Post, server: Server) -> None:
    server.answers.extend([500, 500])
    for number in range(5):
        post.send(number, subject="a")
    await post.act()
    await post.pass_time(5)
    bodies = [got.json for got in server.got]
    assert bodies == [0, 0, 0, 1, 2, 3, 4]


async def test_other_subjects_do_not_wait_for_one_that_fails(post: Post, server: Server) -> None:
    server.answers.append(500)
    post.send("stuck", subject="a")
    await post.act()
    post.send("behind", subject="a")
    post.send("free", subject="b")
    post.send("no subject", subject="")
    post.send("no subject either", subject="")
    await post.act()
    assert sorted(got.json for got in server.got[1:]) == ["free", "no subject", "no subject either"]


async def test_a_dead_letter_lets_the_next_one_pass(post: Post, server: Server) -> None:
    server.answers.append(400)
    post.send("bad", subject="a")
    post.send("good", subject="a")
    await post.act()
    await post.pass_time(0.25)
    assert [got.json for got in server.got] == ["bad", "good"]


async def test_what_matters_more_goes_first_when_a_target_is_busy(post: Post, server: Server) -> None:
    for number in range(16):
        post.send(f"filler {number}", subject=f"filler {number}")
    for priority in ("low", "normal", "critical", "high"):
        post.send(priority, subject=priority, priority=priority)
    assert post.target()["in_flight"] == 16
    await post.act()
    assert [got.json for got in server.got[16:]] == ["critical", "high", "normal", "low"]


async def test_five_failures_open_the_breaker_and_one_success_closes_it(post: Post, server: Server) -> None:
    server.answers.extend([500] * 5)
    for number in range(12):
        post.send(number, subject=str(number))
        await post.act()
    assert len(server.got) == 5
    assert post.target()["breaker"] == "open"
    await post.pass_time(59)
    assert len(server.got) == 5
    assert post.send("elsewhere", target="other").action == "deliver"
    await post.act()
    server.answers.append(500)
    await post.pass_time(2)
    assert len(server.got) == 5 + 1 + 1
    assert post.target()["breaker"] == "open"
    await post.pass_time(61)
    assert post.target()["breaker"] == "closed"
    assert post.waiting() == 0


async def test_a_freeze_holds_a_message_and_loses_nothing(post: Post, server: Server) -> None:
    post.federation.note(Emission(Kind.FREEZE, "", "", "", Freeze(True, "somebody")))
    post.send("x")
    await post.act()
    assert server.got == []
    post.federation.note(Emission(Kind.FREEZE, "", "", "", Freeze(False, "somebody")))
    await post.pass_time(61)
    assert len(server.got) == 1


async def test_an_action_that_observes_sends_nothing_until_it_may(post: Post, server: Server) -> None:
    post.federation.note(Emission(Kind.MODE, "", "", "", Mode("ucm.delivery/deliver", "observe", "somebody")))
    assert post.send("x").mode == "observe"
    before = post.store.head().size
    await post.pass_time(10)
    asked = [r for r in post.store.read(after=before) if r.header.kind == Kind.ASKED]
    assert (server.got, asked) == ([], [])
    post.federation.note(Emission(Kind.MODE, "", "", "", Mode("ucm.delivery/deliver", "act", "somebody")))
    await post.pass_time(1)
    assert len(server.got) == 1


async def test_an_interrupted_attempt_is_made_again(post: Post, server: Server) -> None:
    post.send("x")
    ((decision, wish),) = post.federation.gate.state.released.items()
    args = wish.effect.args
    order = Order(decision, wish.point, wish.subject, "deliver", args, "message.deliver", 1, 1, wish.effect.expires)
    post.federation.outcome(decision, await post.outbound.probe(order))
    assert post.ucm.state.queue.messages[args["message"]].failure == "lost"
    await post.pass_time(1)
    assert [got.headers["elias-attempt"] for got in server.got] == ["2"]


async def test_a_manager_that_is_made_anew_knows_what_waits(post: Post, server: Server) -> None:
    server.answers.extend([500, 500])
    for number in range(3):
        post.send(number, subject="a")
    await post.act()
    again = desk.Desk(Ucm(post.settings), post.bundle, post.store)
    for record in post.store.read(points=["ucm.delivery"]):
        again.absorb(record)
    assert again.settle(post.clock.now()) == []
    assert again.manager.state == post.ucm.state
    restored = desk.Desk(Ucm(post.settings), post.bundle, post.store)
    restored.restore(again.snapshot())
    assert restored.manager.state == post.ucm.state


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"target": "nowhere"}, "no-target"),
        ({"target": "http://169.254.169.254/"}, "no-target"),
        ({"priority": "urgent"}, "bad-message"),
        ({"headers": {}}, "bad-message"),
    ],
)
async def test_a_message_that_cannot_go_is_refused_with_its_cure(
    post: Post, data: dict[str, object], code: str
) -> None:
    reply = post.send("x", **data)
    assert (reply.status, reply.code) == (422, code)
    assert reply.place
    assert reply.cure
    assert post.waiting() == 0


async def test_a_body_beyond_the_limit_is_refused(post: Post) -> None:
    assert post.send("x" * (256 << 10)).code == "body-too-large"
    assert post.send("x" * ((256 << 10) - 2)).action == "deliver"
