from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.targets import AnyTarget, Webhook

from .post import Post, Server

PATIENCE = 120.0  # seconds of real time: far more than a slow machine takes


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as server:
        yield server


@pytest.fixture
async def post(tmp_path: Path, server: Server) -> AsyncIterator[Post]:
    hooks: dict[str, AnyTarget] = {
        "hook": Webhook(kind="webhook", url=server.url, timeout=PATIENCE),
        "other": Webhook(kind="webhook", url=server.url, timeout=PATIENCE),
        "signed": Webhook(kind="webhook", url=server.url, timeout=PATIENCE, secret_env="HOOK_SECRET"),
        "closed": Webhook(kind="webhook", url="http://127.0.0.1:9/", timeout=PATIENCE),
        "hasty": Webhook(kind="webhook", url=server.url, timeout=0.2),
    }
    post = Post(tmp_path, **hooks)
    yield post
    await post.close()
