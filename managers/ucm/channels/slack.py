"""Chat: Slack's incoming webhooks, and what takes the same (Mattermost, Rocket.Chat, Discord below `/slack`).

Limits of blocks and of their texts: https://docs.slack.dev/reference/block-kit/blocks
"""

import re
from typing import Any

import httpx
import msgspec

from federation.targets import Slack
from managers.ucm.channels import http
from managers.ucm.channels.delivery import Delivery, Reply
from managers.ucm.notice import Notice, one_line

HEADER = 150  # characters
_CODE = re.compile(r"[a-z_]{1,64}")  # what Slack says for a reason, such as `channel_is_archived`


async def send(client: httpx.AsyncClient, target: Slack, delivery: Delivery, page: str) -> Reply:
    """Raises Refused without its address, or when the body is no notice."""
    notice = Notice.of(delivery.body)
    body = msgspec.json.encode(payload(notice, page))
    headers = {"content-type": "application/json; charset=utf-8", "user-agent": "elias"}
    reply, told = await http.post(client, target.url(), headers, body)
    code = _CODE.fullmatch(told.strip())
    return reply._replace(detail=f"{reply.detail}, {code[0]}") if code else reply


def payload(notice: Notice, page: str) -> dict[str, Any]:
    """text: for notifications, screen readers, and chats that know no blocks; it says everything."""
    title, address = one_line(notice.title), notice.address(page)
    # A link and not a button: Slack asks the sender of a button for an address where it reports each press.
    link = f"<{address}|{_escaped(one_line(notice.label))}>" if address else ""
    facts = [(one_line(name), one_line(value)) for name, value in notice.fields.items()]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title[:HEADER]}}]
    if notice.text:
        blocks.append({"type": "section", "text": _markdown(_escaped(notice.text)[:3000])})
    if facts:
        fields = [_markdown(f"*{_escaped(n)}*\n{_escaped(v)}"[:2000]) for n, v in facts]
        blocks.append({"type": "section", "fields": fields})
    if link:
        blocks.append({"type": "section", "text": _markdown(link)})
    lines = [f"*{_escaped(title)}*", _escaped(notice.text), *(f"{_escaped(n)}: {_escaped(v)}" for n, v in facts), link]
    return {"text": "\n".join(line for line in lines if line), "blocks": blocks}


def _markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    """The three characters that mean something in Slack's markup, so that no text can mention a channel or fake a
    link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
