"""What a person is told, in a form that every channel for people can render."""

from typing import Any

import msgspec

from federation.errors import Refused

LONGEST = 2000  # characters of a text or an address; chat and mail are no place for more
SHORT = 200  # of everything else
FIELDS = 10  # Slack shows no more in one section


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a message to a target of kind `slack` or `email`.

    title: one line, the subject of a mail. text: plain text. link: a path of the page (`/cases/...`) or an address,
    opened by `label`. fields: short facts by name.
    """

    title: str
    text: str = ""
    link: str = ""
    label: str = "Open in ELIAS"
    fields: dict[str, str] = {}

    @classmethod
    def of(cls, body: Any) -> "Notice":
        """Raises Refused."""
        try:
            notice = msgspec.convert(body, cls)
        except msgspec.ValidationError as error:
            cure = 'body is {"title": TEXT, "text": TEXT, "link": "/cases/ID", "fields": {NAME: TEXT}}'
            raise Refused("bad-notice", str(error), place="data.body", cure=cure) from None
        wrong = notice._wrong()
        if wrong:
            raise Refused("bad-notice", wrong, place="data.body", cure="say it shorter, and link to the rest")
        return notice

    def _wrong(self) -> str:
        if not one_line(self.title):
            return "the title is empty"
        if len(self.fields) > FIELDS:
            return f"{len(self.fields)} fields, at most {FIELDS} go"
        if max(len(self.text), len(self.link)) > LONGEST:
            return f"`text` or `link` has more than {LONGEST} characters"
        if max(map(len, (self.title, self.label, *self.fields, *self.fields.values()))) > SHORT:
            return f"the title, the label or a field has more than {SHORT} characters"
        if self.link and not self.link.startswith(("/", "https://", "http://")):
            return "`link` is neither a path of the page nor an address"
        return ""

    def address(self, page: str) -> str:
        """The link in full. page: address of the page; empty: the notice has none."""
        return page + self.link if self.link.startswith("/") else self.link


def one_line(text: str) -> str:
    """Without line breaks and other control characters: what may stand in a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
