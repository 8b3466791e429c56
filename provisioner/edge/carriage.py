"""How a location travels with an emergency INVITE, as each core wants it (RFC 6442, 8787; docs/trunks.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from provisioner.sip.message import Header
from provisioner.store.records import Location
from provisioner.trunks.profile import Profile

URNS = {"911": "urn:service:sos", "933": "urn:service:test.sos"}  # RFC 5031; RFC 6881, section 15
_WORD = re.compile(r"[A-Za-z0-9._~-]{1,128}")  # what may stand as a user or an identifier as it is
_LINE = re.compile(r"[\x20-\x7e]{1,256}")
_PLACEHOLDER = re.compile(r"\{([a-z0-9._-]+)\}")


@dataclass(frozen=True)
class Located:
    """Where a caller is: `place` with its whole address, `document` as PIDF-LO (b"": it could not be written)."""

    place: Location
    document: bytes = field(repr=False)
    reference: Callable[[str], str] = field(repr=False)  # an https URI below a base, "" when none can be made


@dataclass(frozen=True)
class Carriage:
    """What one INVITE says of a location. `user`: who calls, in place of the number; "": the number itself."""

    headers: tuple[Header, ...] = ()
    document: bytes = field(default=b"", repr=False)
    content_id: str = ""
    user: str = ""

    @property
    def says_where(self) -> bool:
        """Whether a core could refuse the call for it (424)."""
        return bool(self.document or self.user or any(name == "geolocation" for name, _ in self.headers))


def carriage(profile: Profile, located: Located, number: str, new_id: Callable[[], str]) -> Carriage:
    """The carriage of a location to a core of this profile; what it has no identifier for is left out."""
    names = {"number": number, **located.place.identifiers}
    named = names.get(profile.emergency_user, "")
    user = named if profile.emergency_user != "number" and _WORD.fullmatch(named) else ""
    extra = headers(profile, names)
    content_id = f"{new_id()}@provisioner.invalid"
    value, required = _value(profile, located, content_id)
    if not value:
        return Carriage(extra, user=user)
    found: list[Header] = [("geolocation", value + _source(profile))]
    if profile.geolocation_routing != "none":
        found.append(("geolocation-routing", profile.geolocation_routing))
    if required:
        found.append(("supported", required))
    by_value = profile.location == "value"
    return Carriage(
        (*found, *extra), located.document if by_value else b"", content_id if by_value else "", user
    )


def headers(profile: Profile, names: dict[str, str]) -> tuple[Header, ...]:
    """The profile's own headers of emergency calls; one with a name in braces that there is no value for stays away."""
    found = []
    for header, template in profile.emergency_headers.items():
        wanted = _PLACEHOLDER.findall(template)
        value = _PLACEHOLDER.sub(lambda name: names.get(name[1], ""), template)
        if all(names.get(name) for name in wanted) and _LINE.fullmatch(value):
            found.append((header.lower(), value))
    return tuple(found)


def _value(profile: Profile, located: Located, content_id: str) -> tuple[str, str]:
    """The locationValue, and the option tag that a reference needs (RFC 6442, section 4.6); "" without one."""
    if profile.location == "value" and located.document:
        return f"<cid:{content_id}>", ""
    if profile.location == "reference" and profile.location_base:
        uri = located.reference(profile.location_base)
        return (f"<{uri}>", "geolocation-http") if uri else ("", "")
    if profile.location == "identifier":
        held = located.place.identifiers.get(profile.location_identifier, "")
        return (held, "") if _WORD.fullmatch(held) else ("", "")
    return "", ""


def _source(profile: Profile) -> str:
    return f";loc-src={profile.location_source}" if profile.location_source else ""
