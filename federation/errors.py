"""The errors of the federation, one meaning each for whoever catches it.

A user's mistake (`Refused`) carries its place and a cure and is shown as it is; what may pass (`Temporary`) is
retried; `Fenced` ends a process that is no longer the one in charge; anything else that escapes is a bug of ours and
says so.
"""


class EliasError(Exception):
    """Base of all errors that ELIAS raises on purpose."""


class Refused(EliasError):
    """Bad input. `place` says where it is, `cure` what to do; nothing was changed."""

    def __init__(self, code: str, message: str, *, place: str = "", cure: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.cure = cure

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        cure = f" ({self.cure})" if self.cure else ""
        return f"{where}{self.message}{cure}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_refused, (type(self), self.code, self.message, self.place, self.cure))


def _refused(cls: type[Refused], code: str, message: str, place: str, cure: str) -> Refused:
    return cls(code, message, place=place, cure=cure)


class Conflict(Refused):
    """The same identity with another body (HTTP 409)."""


class Temporary(EliasError):
    """It may pass: a locked database, a full disk, an actor being restarted. The caller retries; nothing was
    acknowledged.
    """


class Fenced(EliasError):
    """An append or an effect under an old epoch or incarnation. Whoever gets this is no longer in charge and must
    stop.
    """


class Corrupt(EliasError):
    """The ledger does not verify. Never retried, never repaired in silence."""


class Bug(EliasError):
    """This should never happen; if it does, the fault is in ELIAS, not in the input."""
