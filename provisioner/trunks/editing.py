"""Changes of trunks by people: the address as they type it, checked whole, then stored with its secret at once."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from provisioner.errors import OperatorError, PeerError, UsageError
from provisioner.sip.headers import Uri
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks.profile import profile_of

if TYPE_CHECKING:
    from provisioner.store.inventory import Inventory

MAX_ORDER = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")
_BARE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?@;]+)(:(?P<port>\d{1,5}))?")


def address(typed: str, transport: str = "") -> str:
    """What people type for a service as a SIP URI: `sip.example`, `10.0.0.5:5080`, `sips:…`. Raises UsageError.

    `transport`: "udp", "tcp", "tls", or "" for what the URI says (else DNS decides).
    """
    text = typed.strip().rstrip("/")
    if not text:
        raise UsageError("Give the address of the service, for example sip.provider.example")
    if not re.match(r"sips?:", text, re.I):
        found = _BARE.fullmatch(text)
        if "://" in text or found is None:
            raise UsageError(f"{text} is no address of a calling service: write it as sip.provider.example")
        text = f"sip:{text}"
    try:
        uri = Uri.parse(text)
    except PeerError:
        raise UsageError(f"{typed.strip()} is no SIP address: write it as sip.provider.example") from None
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    if not _HOST.fullmatch(host) or (uri.port is not None and not 0 < uri.port < 65536):
        raise UsageError(f"{typed.strip()} is no SIP address: write it as sip.provider.example")
    if uri.user:
        raise UsageError("Leave the user out of the address; it has a field of its own")
    if transport:
        uri = dataclasses.replace(uri, params={**uri.params, "transport": transport})
    return str(uri)


def trunk(name: str, body: Mapping[str, Any]) -> Trunk:
    """A sound trunk from `body` (fields of the record). Raises ProvisionerError with what to do."""
    if not _NAME.fullmatch(name):
        raise UsageError("A trunk's name has small letters, digits and hyphens, for example telnyx")
    if strange := sorted(body.keys() - {*Trunk.__struct_fields__, "kind"}):
        raise UsageError(f"A trunk has no {strange[0]!r}: give {', '.join(Trunk.__struct_fields__[1:])}")
    try:
        made = msgspec.convert({**body, "kind": "trunk", "id": name}, Trunk)
    except msgspec.ValidationError as error:
        raise UsageError(f"That is no trunk: {error}") from None
    made = replace(made, uri=address(made.uri), proxy=address(made.proxy) if made.proxy else "")
    if not 0 <= made.order <= MAX_ORDER:
        raise UsageError(f"The order is 0 to {MAX_ORDER}; the lowest is tried first")
    _check_sources(made.sources)
    _check_authorities(made.authorities)
    profile_of(made)
    return made


def _check_sources(sources: Sequence[str]) -> None:
    for each in sources:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise UsageError(
                f"{each} is no address and no network: write it as 203.0.113.7 or 203.0.113.0/24"
            ) from None


def _check_authorities(pem: str) -> None:
    if not pem:
        return
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise OperatorError(
            "the authorities are no PEM certificates", "paste them anew, BEGIN and END lines too"
        ) from None


def secret(name: str, user: str, password: str, realm: str, stored: TrunkSecret | None) -> TrunkSecret | None:
    """What is shown to the core: an empty password stays what was stored; without a user there is none."""
    if not user:
        if password:
            raise UsageError("There is a password, but no user name: give both, or neither")
        return None
    kept = password or (stored.password if stored else "")
    if not kept:
        raise UsageError("Give the password that belongs to the user name")
    return TrunkSecret(id=name, user=user, password=kept, realm=realm)


def keep(
    inventory: Inventory, made: Trunk, shown: TrunkSecret | None, who: str, revision: int | None = None
) -> int:
    """Store a trunk and what it shows to its core, in one transaction; the revision. Raises Conflict."""
    with inventory.change(who=who) as change:
        kept = change.put(made, revision)
        if shown is None:
            change.delete(TrunkSecret, made.id)
        else:
            change.put(shown)
    return kept


def remove(inventory: Inventory, name: str, who: str, revision: int | None = None) -> None:
    """Forget a trunk with its secret. Raises OperatorError when there is none, Conflict."""
    with inventory.change(who=who) as change:
        if not change.delete(Trunk, name, revision):
            raise OperatorError(f"there is no trunk {name}", "look at the list of trunks")
        change.delete(TrunkSecret, name)
