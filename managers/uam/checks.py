"""Whether an application serves, as its declaration says how to tell."""

import asyncio
import contextlib

import httpx

from managers.uam.apps import Check, Launch, address


async def passes(check: Check, launch: Launch) -> bool:
    """Ask once, for `check.timeout` seconds at most."""
    try:
        async with asyncio.timeout(check.timeout):
            if check.tcp:
                return await _accepts(*address(check.tcp))
            if check.http:
                return await _answers(check.http)
            return await _succeeds(check, launch)
    except (OSError, TimeoutError, httpx.HTTPError):
        return False


async def _accepts(host: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _answers(url: str) -> bool:
    client = httpx.AsyncClient(trust_env=False, timeout=None)  # noqa: S113 - bounded by the caller
    async with client, client.stream("GET", url) as response:
        return response.status_code < 400


async def _succeeds(check: Check, launch: Launch) -> bool:
    process = await asyncio.create_subprocess_exec(
        *check.command,
        cwd=launch.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
