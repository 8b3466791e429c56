"""API tokens: made and revoked, whoever does it; each is named in the audit log by its own name."""

from __future__ import annotations

from provisioner.errors import Invalid, OperatorError
from provisioner.people.users import ROLES
from provisioner.store.inventory import Inventory
from provisioner.store.tokens import Token

DAY = 86_400.0
NEVER = 36_525.0  # days: so long that nobody sees its end
MAX_NAME = 60


def create(
    inventory: Inventory,
    name: str,
    role: str,
    scopes: str,
    days: float,
    who: str,
    *,
    user: str = "",
    most: float = float("inf"),
) -> str:
    """A new token's text, which is kept nowhere. `days` 0: no end; `most`: seconds that it is good at the longest.

    `user`: who answers for it. Raises Invalid.
    """
    name = " ".join(name.split())
    errors = {}
    if not name or len(name) > MAX_NAME or not name.isprintable():
        errors["name"] = f"Give it a name of 1 to {MAX_NAME} characters: what uses it, and where."
    elif any(each.name == name for each in inventory.tokens.listing("api")):
        errors["name"] = (
            "There is a token of that name already. Each has its own, so that the audit log can tell them."
        )
    if role not in ROLES:
        errors["role"] = f"The role is one of {', '.join(ROLES)}."
    if not 0 <= days <= NEVER:
        errors["days"] = "Give the days that it is good, 0 for no end."
    if errors:
        raise Invalid(errors)
    seconds = min((days or NEVER) * DAY, most)
    token = inventory.new_token("api", seconds, role, name=name, user=user, scopes=scopes)
    inventory.note(who, "token", name, {"made": True, "role": role, "scopes": scopes or "all", "days": days})
    return token


def revoke(inventory: Inventory, number: int, who: str) -> Token:
    """End the token of that number. Raises OperatorError when there is none."""
    found = inventory.tokens.end("api", number)
    if found is None:
        raise OperatorError("there is no such token, or it has expired", "look at the list of tokens")
    inventory.note(who, "token", found.name, {"revoked": True})
    return found


def endless(token: Token) -> bool:
    """Whether a token has no end to speak of."""
    return token.expires - token.created > NEVER * DAY / 2
