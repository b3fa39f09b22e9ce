"""Secrets: who may read them, and that none is ever told."""

import pytest

from federation.runtime import credentials
from federation.settings import Settings
from managers.uim.doctor import secrets
from managers.uim.doctor.finding import ERROR, Finding
from managers.uim.doctor.here import Here
from managers.uim.doctor.secrets import File, Mask, Named

from .sections import names


@pytest.mark.parametrize(
    ("files", "missing", "codes"),
    [
        ([], [], ["secrets.private"]),
        ([File("a"), File("b", 0o400)], [], ["secrets.private"]),
        ([File("a", 0o640)], [], ["secrets.open"]),
        ([File("a", 0o604)], [], ["secrets.open"]),
        ([File("a", 0o640, ours=False)], [], ["secrets.private"]),  # a group of its own, as a unit has
        ([File("a", 0o644, ours=False)], [], ["secrets.shared"]),
        ([File("a", size=0, ours=False)], [], ["secrets.empty"]),
        ([File("a", size=0)], [], ["secrets.private"]),  # what is not in the database's log yet
        ([File("a", problem="No such file or directory")], [], ["secrets.unreadable"]),
        ([File("a")], [Named("targets.team", "URL")], ["secrets.not_set"]),
    ],
)
def test_what_is_seen_of_secrets(files: list[File], missing: list[Named], codes: list[str]) -> None:
    assert [one.code for one in secrets.judge(files, missing)] == codes


def test_no_setting_that_names_a_secret_is_unknown_to_the_doctor() -> None:
    targets = {"Webhook.secret_env", "Webhook.secret_file", "Slack.url_env", "Slack.url_file"}
    targets |= {"Email.password_env", "Email.password_file", "Email.ca_file"}  # the last holds no secret
    alerts = {"Alertmanager.secret_env", "Alertmanager.secret_file"}
    alerts |= {"Prometheus.secret_env", "Prometheus.secret_file", "Prometheus.ca_file"}  # nor does this one
    alerts |= {"RedisSettings.password_file", "RedisSettings.ca_file"}
    others = {"Provider.key_env", "Provider.key_file", "PolicySettings.key_file", "Oidc.secret_env", "Listen.key"}
    assert names("_env", "_file", ".key", "token", "password", "secret") == targets | alerts | others


def test_every_secret_of_the_settings_is_known(settings: Settings) -> None:
    text = " ".join(
        [
            *("planted-sign planted-oidc planted-key planted-password planted-replica planted-alerts planted-mlflow",),
            *("planted-db/pw planted-db%2Fpw planted-chat-address planted-in-the-path planted-token-0123",),
            *("planted-measures planted-in-kubeconfig planted-redis",),
            *(f"x{(settings.state / name).read_text().strip()}x" for name in ("token", "ray.token", "joined.token")),
        ]
    ).replace("planted-token-0123", "")
    assert "planted" not in Mask(secrets.values(settings)).text(text)


def test_the_keys_of_a_cluster_are_secrets(settings: Settings) -> None:
    credentials.begin(settings.state, "127.0.0.1", tls=True)
    folder = credentials.tls_folder(settings.state)
    mask = Mask(secrets.values(settings))
    for name in ("key.pem", "ca-key.pem"):
        for line in (folder / name).read_text().splitlines()[1:-1]:
            assert mask.text(f"it is {line}!") == "it is <secret>!"
    (folder / "ca-key.pem").chmod(0o640)
    (found,) = secrets.check(Here(settings, None, False, None, "head"))
    assert (found.code, found.place) == ("secrets.open", str(folder / "ca-key.pem"))


def test_a_real_file_that_others_may_read_is_found_and_its_secret_is_not_told(settings: Settings) -> None:
    (settings.state / "token").chmod(0o644)
    found = list(secrets.check(Here(settings, None, False, None, "head")))
    assert [(one.code, one.place) for one in found] == [("secrets.open", str(settings.state / "token"))]
    assert "planted" not in str(found)


def test_a_variable_that_is_not_set_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGN")
    found = list(secrets.check(Here(settings, None, False, None, "head")))
    assert [(one.code, one.place) for one in found] == [("secrets.not_set", "targets.hook.secret")]


@pytest.mark.parametrize(
    "text",
    [
        "it is pa ss/wörd",
        "http://x/?q=pa%20ss%2Fw%C3%B6rd",
        "http://x/?q=pa%20ss/w%C3%B6rd",
        r'{"it": "pa ss/w\u00f6rd"}',
        "xpa ss/wördx",
    ],
)
def test_a_secret_is_taken_out_however_it_is_written(text: str) -> None:
    found = Mask(["pa ss/wörd"]).text(text)
    assert "<secret>" in found
    assert "rd" not in found


def test_a_password_in_a_url_is_taken_out_whoever_wrote_it() -> None:
    seen = Finding("c", ERROR, "postgresql://ada:p@ssw@db/x", "http://:pw2@h", "see https://tokenpw0123456789@h/y")
    found = Mask([]).finding(seen)
    assert (found.seen, found.place) == ("postgresql://ada:<secret>@db/x", "http://:<secret>@h")
    assert "pw" not in str(found)
    assert Mask([]).text("postgresql://elias@db/x") == "postgresql://elias@db/x"
