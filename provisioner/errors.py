"""The errors of the whole house.

ProvisionerError
├── UsageError          the command was called wrongly (exit 2)
│   └── Invalid         values that cannot be kept, each with why
├── OperatorError       a person must act; says what happened and what to do (exit 1)
└── PeerError           the other side of a wire broke the rules; becomes an answer and a counter
"""

from __future__ import annotations


class ProvisionerError(Exception):
    """Base of every error that is shown to a person as one line."""

    exit_code = 1


class UsageError(ProvisionerError):
    """The command was called wrongly; the message says how to call it."""

    exit_code = 2


class Invalid(UsageError):  # noqa: N818
    """Values that cannot be kept: `errors` names all of them at once, field by field, each with a sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class OperatorError(ProvisionerError):
    """Something that a person must mend: `OperatorError(what, remedy)`, shown as "what: remedy"."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


class PeerError(ProvisionerError):
    """A peer sent what it should not; `status` is the answer that it deserves (SIP or HTTP code)."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
