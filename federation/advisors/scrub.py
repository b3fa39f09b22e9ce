"""Takes out of a text what must not leave this installation, and puts placeholders that stand for it.

Two nets. A value that a decision point did not declare is a name from outside and is replaced whole, whatever it is.
In running text (a spec's prose, a person's words) secrets and personal data are recognised by their form: keys and
tokens, addresses, paths, names of hosts and users. Too much is taken out rather than too little: an advisor decides by
typed facts, so a number that looks like an IP address costs it nothing.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable

SECRET = "secret"  # noqa: S105 - the name of a kind
_SHORTEST_NAME = 3  # that is looked for in running text: shorter ones are parts of ordinary words

_SECRETS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private|secret|signing)[ _-]?key|auth\w*|bearer|"
    r"credentials?|cookie|session(?:[ _-]?id)?|client[ _-]?secret"
)
# What a clause of a spec begins with is no secret: `- may_pass: when ...`.
_ASSIGNED = (
    rf"\b\w*(?:{_SECRETS})[\"']?(?:\s*(?:[:=]|\bis\b)[ \t]*[\"']?(?:(?:bearer|basic|token)\s+)?"
    r"(?P<assigned>(?!(?:when|never|otherwise)\b)[^\s\"'<>]+)|\s+[\"']?(?P<stated>(?=\S*\d)[^\s\"'<>]{6,}))"
)
_PREFIXED = (
    r"\b(?:(?:sk|pk|rk|whsec|xai|gsk|hf|npm|pypi|shpat|lin|dop_v1|rpa|r8|nvapi|glpat|gh[pousr]|github_pat|xox[a-z]+)"
    r"[-_][\w-]{8,}|(?:AKIA|ASIA|AGPA|AIza|ya29)[\w.-]{10,}|SG\.[\w-]{10,}\.[\w-]{10,}|eyJ[\w-]{8,}(?:\.[\w-]*){1,4}|"
    r"AGE-SECRET-KEY-\w+|ssh-[a-z0-9]+\s+AAAA\S+)"
)
_TLD = (
    r"(?:com|org|net|edu|gov|mil|int|info|biz|dev|app|cloud|tech|site|local|localdomain|localhost|internal|intranet|"
    r"intra|lan|corp|home|arpa|svc|cluster|test|example|invalid|[a-z]{2})"
)

# Where two begin at the same place, the earlier one is taken.
_FORMS: tuple[tuple[str, str], ...] = (
    (SECRET, r"-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|\Z)"),
    ("address", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]+"),
    (SECRET, _ASSIGNED),
    (SECRET, _PREFIXED),
    (SECRET, r"\bbearer\s+[^\s\"'<>]{6,}"),
    ("e-mail", r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*"),
    ("id", r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ("mac", r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"),
    ("ip", r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?:%\w+)?(?![\w:])"),
    ("ip", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)"),
    ("path", r"(?:\b[a-z]:\\|\\\\)[^\s\"'<>]+"),
    ("path", r"(?<![\w<])(?:~[\w-]*|\.{1,2})?/[\w.@+%-]+(?:/[\w.@+%-]*)*"),
    ("phone", r"(?<!\w)\+\d[\d ().-]{6,}\d"),
    ("host", rf"(?<![\w.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+{_TLD}(?![\w-])"),
    ("number", r"(?<![\w.])\d{12,}(?!\w)"),
    (SECRET, r"(?=[\w+/=~-]*[0-9])(?=[\w+/=~-]*[a-z])(?:[a-z0-9+/=~]{18,}|[a-z0-9]{16,})"),
)
_FORM = re.compile("|".join(f"(?P<form{number}>{form})" for number, (_, form) in enumerate(_FORMS)), re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<[\w-]+ \d+>")


class Scrubber:
    """One for each text that is sent, so that the same thing has the same placeholder throughout it.

    hosts, users, words: that are known here; found in running text whatever their case. declared: names that look like
    something else and are ours (`fleet.up`).
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        users: Iterable[str] = (),
        words: Iterable[str] = (),
        declared: Iterable[str] = (),
    ) -> None:
        self._declared = frozenset(declared)
        self._placeholders: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._known: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        for kind, names in (("withheld", words), ("host", hosts), ("user", users)):
            for name in names:
                self.learn(name, kind)

    def learn(self, name: str, kind: str) -> None:
        """Take it out of running text from now on."""
        if len(name) >= _SHORTEST_NAME:
            self._known.setdefault(_folded(name), kind)
            self._pattern = None

    def name(self, value: str, kind: str) -> str:
        """The placeholder of a value from outside."""
        self.learn(value, kind)
        return self._placeholder(value, self._known.get(_folded(value), kind))

    def text(self, text: str) -> str:
        """Running text without what must not leave."""
        if self._pattern is None:
            names = "|".join(re.escape(name) for name in sorted(self._known, key=len, reverse=True))
            self._pattern = re.compile(rf"(?<![\w<])(?:{names})(?!\w)" if names else r"(?!)", re.IGNORECASE)
        return self._pattern.sub(self._of_name, _FORM.sub(self._of_form, _plain(text)))

    def restore(self, text: str) -> str:
        """The same with what its placeholders stand for, secrets excepted: for people here."""
        return _PLACEHOLDER.sub(lambda found: self._originals.get(found[0], found[0]), text)

    def _of_name(self, found: "re.Match[str]") -> str:
        return self._placeholder(found[0], self._known.get(_folded(found[0]), "name"))

    def _of_form(self, found: "re.Match[str]") -> str:
        whole = found[0]
        kind = _FORMS[int((found.lastgroup or "").removeprefix("form"))][0]
        if kind == "ip" and ":" in whole and not _is_ip(whole):
            return whole  # a time of day
        if whole in self._declared:
            return whole
        for part in ("assigned", "stated"):
            if found[part] is not None:
                start = found.start(part) - found.start()
                return whole[:start] + self._placeholder(found[part], kind)
        return self._placeholder(whole, kind)

    def _placeholder(self, value: str, kind: str) -> str:
        key = _folded(value)
        known = self._placeholders.get(key)
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._placeholders[key] = f"<{kind} {self._counts[kind]}>"
            if kind != SECRET:
                self._originals[known] = value
        return known


def _folded(text: str) -> str:
    return _plain(text).casefold()


def _plain(text: str) -> str:
    """Without characters that are not seen: a key with one of them inside is a key all the same."""
    normal = unicodedata.normalize("NFKC", text)
    return "".join(c for c in normal if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs"))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
