"""Where calls may be forwarded to, and whom a ring group may reach outside: the classifier, and stricter than it."""

from __future__ import annotations

from provisioner.dialing.classify import Destination, Plan, classify
from provisioner.errors import UsageError

_ABROAD = Destination(
    "refused",
    reason="calls are forwarded within the US, its territories and Canada only",
    prompt="refused",
    status=403,
)  # a forward abroad is how stolen telephone systems are made to pay
_NO_TARGET = Destination(
    "refused", reason="calls are never forwarded to such a code", prompt="refused", status=403
)


def forward_target(dialled: str, plan: Plan) -> Destination:
    """`dialled` as the target of a forward or an outside member of a group: an extension, E.164, or why not.

    Emergency and crisis codes, N11, refused numbers and those abroad never are. Never raises.
    """
    destination = classify(dialled, "transfer", plan)
    if destination.kind not in ("extension", "outbound", "refused"):
        return _NO_TARGET
    return _ABROAD if destination.international else destination


def checked(dialled: str, plan: Plan) -> str:
    """The target as it is stored, "" for none. Raises UsageError with why it cannot be one."""
    if not dialled.strip():
        return ""
    destination = forward_target(dialled.strip(), plan)
    if destination.kind == "refused":
        raise UsageError(f"Calls cannot be forwarded there: {destination.reason}")
    return destination.number
