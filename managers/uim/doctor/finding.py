"""What was found, how bad it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    OK = "ok"
    NOTE = "note"  # worth knowing, nothing to do
    WARNING = "warning"  # it works, with a risk or without a part of it
    ERROR = "error"  # it does not work, or would not at the next start


OK, NOTE, WARNING, ERROR = Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """place: the file, setting or address that it is about."""

    code: str
    severity: Severity
    seen: str
    place: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Something that can be found. name: stays what it is from release to release. cure: in general; a finding may
    have a better one."""

    name: str
    severity: Severity
    meaning: str
    cure: str = ""

    def found(self, seen: str, place: object = "", cure: str = "") -> Finding:
        return Finding(self.name, self.severity, seen, str(place), cure or self.cure)
