"""Trunk profiles: how each kind of core wants to be spoken to, as data (docs/trunks.md)."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from provisioner.errors import OperatorError
from provisioner.store.records import Trunk

Transport = Literal["UDP", "TCP", "TLS"]
Place = Literal["request-uri", "to", "p-called-party-id", "diversion"]
_FILE = Path(__file__).with_name("trunk_profiles.toml")
_PRIVATE = re.compile(
    r"(authorization|proxy-authorization|via|route|contact|content-length|cseq|call-id)\Z", re.I
)


NO_VOICEMAIL = {"Reject-Contact": '*;actor="msg-taker"'}  # RFC 3841 9.2; actor: RFC 3840 10.17
_BASE = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~-]+)*")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that differs between cores; each key is explained in docs/trunks.md. Times are seconds."""

    label: str = ""
    transports: tuple[Transport, ...] = ("UDP", "TCP")
    request_host: Literal["domain", "target"] = "domain"
    number_format: Literal["+e164", "e164", "national"] = "+e164"
    identity: tuple[Literal["pai", "ppi", "rpid"], ...] | Literal["pai", "ppi", "rpid", "none"] = "pai"
    from_host: Literal["own", "domain"] = "own"
    from_user: Literal["number", "account"] = "number"
    authentication: Literal["none", "invite", "register"] = "none"
    expires: int = 600
    called: tuple[Place, ...] = ("request-uri", "to", "p-called-party-id", "diversion")
    tls_wildcards: bool = False
    srtp: Literal["off", "optional", "required"] = "optional"
    dtmf: Literal["rfc4733", "info", "inband"] = "rfc4733"
    refer: bool = True
    no_voicemail: dict[str, str] = msgspec.field(default_factory=lambda: dict(NO_VOICEMAIL))
    session_timers: bool = True
    reliable_provisional: bool = False
    location: Literal["none", "value", "reference", "identifier"] = "none"
    location_base: str = ""
    location_identifier: str = ""
    location_source: str = ""
    geolocation_routing: Literal["yes", "no", "none"] = "yes"
    emergency_user: str = "number"
    emergency_uri: Literal["number", "urn"] = "number"
    emergency_headers: dict[str, str] = {}
    headers: dict[str, str] = {}
    keep_alive: int = 25
    options: bool = True

    @property
    def identities(self) -> tuple[str, ...]:
        """The identity headers to write: "pai", "ppi", "rpid"."""
        if self.identity == "none":
            return ()
        return (self.identity,) if isinstance(self.identity, str) else self.identity


@cache
def profiles() -> dict[str, Profile]:
    """All profiles that ship, by name."""
    with _FILE.open("rb") as file:
        return {name: msgspec.convert(keys, Profile) for name, keys in tomllib.load(file).items()}


def profile_of(trunk: Trunk) -> Profile:
    """The profile of a trunk with its own settings laid over it. Raises OperatorError with what is wrong."""
    base = profiles().get(trunk.profile)
    if base is None:
        raise OperatorError(
            f"trunk {trunk.id} has the profile {trunk.profile!r}, which there is not",
            f"choose one of {', '.join(sorted(profiles()))}",
        )
    try:
        found = msgspec.convert({**msgspec.to_builtins(base), **trunk.settings}, Profile)
    except msgspec.ValidationError as error:
        raise OperatorError(
            f"a setting of trunk {trunk.id} is wrong ({error})", "see docs/trunks.md"
        ) from None
    for name, value in (
        *found.headers.items(),
        *found.no_voicemail.items(),
        *found.emergency_headers.items(),
    ):
        if _PRIVATE.match(name) or not re.fullmatch(r"[A-Za-z0-9-]+", name) or re.search(r"[\r\n\0]", value):
            raise OperatorError(
                f"trunk {trunk.id} cannot send the header {name!r}", "take it out of its settings"
            )
    if found.location_base and not _BASE.fullmatch(found.location_base):
        raise OperatorError(
            f"{found.location_base!r} is no base for the location references of trunk {trunk.id}",
            "give an address such as https://clinic.example/held",
        )
    if not re.fullmatch(r"[A-Za-z0-9.-]*", found.location_source):
        raise OperatorError(f"trunk {trunk.id} has no host name as its location_source", "see docs/trunks.md")
    return found


def formatted(number: str, number_format: str) -> str:
    """An E.164 number as a core wants it; short codes such as 911 stay what they are."""
    if not number.startswith("+"):
        return number
    if number_format == "e164":
        return number[1:]
    return number[2:] if number_format == "national" and number.startswith("+1") else number
