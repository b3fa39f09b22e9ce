"""A chat that takes an incoming webhook as strictly as Slack does, by the limits of its reference of blocks."""

from typing import Any

import msgspec

from .post import Got, Server

HEADER, SECTION, FIELD, FIELDS, BLOCKS, TEXT = 150, 3000, 2000, 10, 50, 40_000


class Chat(Server):
    def judge(self, got: Got) -> int | tuple[int, dict[str, str]]:
        wrong = self._wrong(got)
        return (400, {"body": wrong}) if wrong else (200, {"body": "ok"})

    def _wrong(self, got: Got) -> str:
        if not got.headers.get("content-type", "").startswith("application/json"):
            return "invalid_payload"
        try:
            said = msgspec.json.decode(got.body)
        except msgspec.DecodeError:
            return "invalid_payload"
        if not isinstance(said.get("text"), str) or not 1 <= len(said["text"]) <= TEXT:
            return "no_text"
        sound = 1 <= len(said["blocks"]) <= BLOCKS and all(map(_sound, said["blocks"]))
        return "" if sound and set(said) == {"text", "blocks"} else "invalid_blocks"


def _sound(block: dict[str, Any]) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text), **no_more}, **nor_here}:
            return not no_more and not nor_here and 1 <= len(text) <= HEADER
        case {"type": "section", "text": text, **no_more}:
            return not no_more and _markdown(text, SECTION)
        case {"type": "section", "fields": list(fields), **no_more}:
            return not no_more and 1 <= len(fields) <= FIELDS and all(_markdown(f, FIELD) for f in fields)
    return False


def _markdown(text: Any, longest: int) -> bool:
    match text:
        case {"type": "mrkdwn", "text": str(said), **no_more}:
            return not no_more and 1 <= len(said) <= longest
    return False
