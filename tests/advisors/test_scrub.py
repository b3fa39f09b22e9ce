"""Secrets and personal data never leave; what stands for them is stable."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.advisors.scrub import Scrubber
from federation.runtime.roster import Roster
from managers.uim.launch import ROSTER

PLANTED = {
    "a password": ("password: hunter2!", "hunter2"),
    "a passphrase in a sentence": ("the passphrase is correct-horse", "correct-horse"),
    "a variable": ("MY_API_KEY=xyzzy", "xyzzy"),
    "JSON": ('{"client_secret": "s3cr3t-thing"}', "s3cr3t-thing"),
    "YAML": ("auth:\n  token: abc", "abc"),
    "a header": ("Authorization: Bearer qwertyuiop", "qwertyuiop"),
    "a bearer alone": ("we sent bearer qwertyuiop", "qwertyuiop"),
    "a token that is stated": ("use token 9f31ac", "9f31ac"),
    "Anthropic": ("sk-ant-api03-AbCdEfGhIjKl_mnop-qrs", "AbCdEfGhIjKl"),
    "OpenAI": ("sk-proj-abcdefghijklmnop", "abcdefghijklmnop"),
    "GitHub": ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnop"),
    "Slack": ("xoxb-1234-abcdefghij", "abcdefghij"),
    "AWS": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN"),
    "Google": ("AIzaSyA-abcdefghijklmnopqrstuvw", "SyA-abcdef"),
    "Hugging Face": ("hf_abcdefghijklmnopqrst", "abcdefghij"),
    "a JSON web token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-nature", "eyJzdWIi"),
    "a private key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----",
        "b3BlbnNz",
    ),
    "a private key that is cut": ("-----BEGIN PRIVATE KEY-----\nMIIEvQIB", "MIIEvQIB"),
    "a public key": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 jane@desk", "AAAAC3Nz"),
    "hexadecimal": ("digest 9f86d081884c7d659a2feaa0c55ad015", "9f86d081"),
    "base64": ("blob TWFuIGlzIGRpc3Rpbmd1aXNoZWQ1", "TWFuIGlz"),
    "with an invisible character": ("pass\u200bword: hun\u200bter2", "ter2"),
    "in wide letters": ("ｐａｓｓｗｏｒｄ： hunter2", "hunter2"),
    "an address with a password": ("https://jane:pw@intranet/x?y=1", "jane"),
    "a database": ("postgresql://elias:pw@db/elias", "pw@db"),
    "an e-mail address": ("ask jane.doe+x@example.com", "jane.doe"),
    "a login": ("ssh root@node17", "root@"),
    "IPv4": ("from 10.1.2.3:8080", "10.1.2.3"),
    "a network": ("10.1.0.0/16", "10.1.0.0"),
    "IPv6": ("at 2001:db8::7 and", "2001:db8::7"),
    "IPv6 of a link": ("fe80::1%eth0", "fe80::1"),
    "a MAC address": ("00:1b:44:11:3a:b7", "11:3a"),
    "a path": ("see /home/jane/.ssh/id_rsa", "jane"),
    "a path of one's own": ("~jane/notes", "jane"),
    "a path of Windows": (r"C:\Users\jane\x", "jane"),
    "a share": (r"\\server\share", "server"),
    "a host": ("db1.prod.example.com is down", "db1"),
    "an internal host": ("db1.internal", "db1"),
    "an id": ("job 123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    "a telephone": ("call +41 44 123 45 67", "123 45"),
    "a card": ("4111111111111111", "41111111"),
    "a host that is known": ("it is GPU-17 again", "GPU-17"),
    "a user that is known": ("jdoe says so", "jdoe"),
    "a word that is withheld": ("for acme corp.", "acme"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_must_not_leave_is_replaced(kind: str) -> None:
    text, secret = PLANTED[kind]
    found = Scrubber(hosts=["gpu-17"], users=["jdoe"], words=["Acme Corp"]).text(text)
    assert secret not in found
    assert "<" in found


@pytest.mark.parametrize(
    "text",
    [
        "- memory_threshold: 80%",
        "- when memory > 95% for 30s, clear at 85%: shed_load(lowest_priority)",
        "- failure_threshold: 3_consecutive",
        "- recovery_validation: 2_successful_health_checks",
        "- circuit_breaker: 5_failures_per_minute",
        "- never migrate when target.gpu_free < job.gpu",
        "| 97% | 10% | shed_load |",
        "at 12:30:45 the node and/or its rack failed; n/a, 3/4",
        "version 2.3 needs 16GB",
        "the token bucket is full",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Scrubber().text(text) == text


def test_the_shipped_specs_stay_as_they_are() -> None:
    from federation.settings import shipped_specs

    declared = [a.name for p in Roster(ROSTER).points.values() for a in p.schema.attributes]
    for path in shipped_specs().rglob("*.tiki"):
        text = path.read_text()
        assert Scrubber(declared=declared).text(text) == text, path


def test_the_same_thing_has_the_same_placeholder_in_names_and_in_text() -> None:
    scrubber = Scrubber()
    assert scrubber.name("gpu-17", "node") == "<node 1>"
    assert scrubber.name("gpu-18", "node") == "<node 2>"
    assert scrubber.text("GPU-17 hangs again, gpu-18 does not; gpu-170 neither") == (
        "<node 1> hangs again, <node 2> does not; gpu-170 neither"
    )


def test_what_an_advisor_says_of_a_placeholder_is_told_to_people_by_its_name_but_a_secret_stays_one() -> None:
    scrubber = Scrubber()
    scrubber.name("gpu-17", "node")
    assert scrubber.text("password: hunter2") == "password: <secret 1>"
    said = "<node 1> is sick, <secret 1> is out, <node 9> is unknown"
    assert scrubber.restore(said) == "gpu-17 is sick, <secret 1> is out, <node 9> is unknown"


def test_a_name_that_is_a_kind_of_placeholder_does_not_break_them() -> None:
    scrubber = Scrubber(hosts=["path", "host"])
    assert scrubber.text("/etc/x on host") == "<path 1> on <host 1>"


SECRETS = st.text(string.ascii_letters + string.digits, min_size=20, max_size=60).filter(
    lambda s: any(c.isdigit() for c in s) and any(c.isalpha() for c in s)
)


@given(before=st.text(max_size=40), secret=SECRETS, after=st.text(max_size=40))
def test_a_long_random_word_never_leaves_wherever_it_stands(before: str, secret: str, after: str) -> None:
    assert secret not in Scrubber().text(f"{before} {secret} {after}")


@given(value=st.text(min_size=1), text=st.text(max_size=80))
def test_any_name_and_any_text_can_be_scrubbed_twice(value: str, text: str) -> None:
    scrubber = Scrubber(hosts=[value])
    scrubber.name(value, "node")
    once = scrubber.text(text)
    assert scrubber.text(text) == once
