from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.settings import Webhook

from .post import Post, Server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as server:
        yield server


@pytest.fixture
async def post(tmp_path: Path, server: Server) -> AsyncIterator[Post]:
    hooks = {
        "hook": Webhook(url=server.url, timeout=0.3),
        "other": Webhook(url=server.url),
        "signed": Webhook(url=server.url, secret_env="HOOK_SECRET"),
        "closed": Webhook(url="http://127.0.0.1:9/"),
    }
    post = Post(tmp_path, **hooks)
    yield post
    await post.close()
