"""The Redis of Ray's control store: who gets in, on real servers, and what that means."""

from pathlib import Path

import pytest

from federation.runtime.session import Session
from federation.runtime.settings import RaySettings, RedisSettings
from federation.settings import Settings
from managers.uim.doctor import redis
from managers.uim.doctor.here import Here
from managers.uim.doctor.redis import Seen
from tests.federation.redis_server import RedisServer
from tests.ports import free_port

AT = Seen("redis.example:6379", loopback=False)


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (AT, ["redis.sound"]),
        (AT._replace(used=True), ["redis.sound"]),
        (AT._replace(used=False), ["redis.unused"]),
        (AT._replace(problem="it does not answer"), ["redis.away"]),
        (AT._replace(problem="it does not answer", used=False), ["redis.away", "redis.unused"]),
        (AT._replace(anybody=True), ["redis.open"]),
        (AT._replace(anybody=True, problem="no password configured"), ["redis.open"]),
        (AT._replace(anybody=True, loopback=True), ["redis.sound"]),
    ],
)
def test_what_is_seen_of_redis(seen: Seen, codes: list[str]) -> None:
    assert [one.code for one in redis.judge(seen)] == codes


def test_real_servers_are_told_apart(tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not-it")
    with RedisServer.running() as closed, RedisServer.running(password="") as guileless:
        assert redis.observe(closed.settings) == Seen(f"127.0.0.1:{closed.port}", loopback=True)
        refused = redis.observe(closed.settings.model_copy(update={"password_file": wrong}))
        assert ("invalid username-password pair" in refused.problem, refused.anybody) == (True, False)
        assert redis.observe(RedisSettings(url=f"redis://127.0.0.1:{guileless.port}")).anybody


@pytest.mark.parametrize(("url", "codes"), [("", []), ("redis://127.0.0.1:{port}", ["redis.away", "redis.unused"])])
def test_it_is_looked_at_where_the_settings_name_one(tmp_path: Path, url: str, codes: list[str]) -> None:
    ray = RaySettings(redis=RedisSettings(url=url.format(port=free_port())))
    running = Session("a", "", 1, 1.0, "m", "t")
    here = Here(Settings(state=tmp_path, ray=ray), running, True, 1, "head")
    assert [one.code for one in redis.check(here)] == codes
