"""Who is asking: the maker, model and MAC that a request's path and user agent claim together."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from provisioner.phones import boot

_OUIS = {
    # The prefixes that each maker's phones carry: a fallback for the maker only when no agent is sent (TFTP).
    boot.POLYCOM: "0004f2 64167f 482567 00907a",
    boot.YEALINK: "001565 805ec0 805e0c 249ad8 3497d7 44dbd2 644f56 b061a9 c4fc22 ec1da9 f01653 e434d7",
    boot.GRANDSTREAM: "000b82 c074ad ec74d7",
}
_VENDOR_OF_OUI = {oui: vendor for vendor, ouis in _OUIS.items() for oui in ouis.split()}


def prefixes(vendor: str) -> tuple[str, ...]:
    """The prefixes of a maker's MACs: six hex digits each."""
    return tuple(_OUIS[vendor].split())


MAX_AGENT = 256  # the longest of a phone is under 120

_VERSION = r"(?P<version>\d+(?:\.\d+){2,3}[A-Z]?)"
_MAC = r"(?P<mac>[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5})"
_POLY = r"Poly(?:com)?"
_YEALINK_MODEL = r"(?:SIP(?: VP)?-)?(?P<model>[A-Z]+\d+[A-Z0-9_]*)"

# Over HTTP and in SIP; the first match wins.
_AGENTS = tuple(
    (vendor, re.compile(pattern))
    for vendor, pattern in (
        (
            boot.POLYCOM,
            # In SIP the serial number comes after an underscore, and newer software names itself first.
            rf"(?:FileTransport |{_POLY}/\S+ )?{_POLY}[A-Za-z0-9]*-(?P<model>[A-Za-z][A-Za-z0-9_]*)-UA/{_VERSION}"
            rf"(?:_(?P<serial>[0-9A-Fa-f]{{12}}))?(?: \(SN:{_MAC}\))?(?: Type/(?P<stage>Application|Updater))?",
        ),
        (boot.YEALINK, rf"(?:(?i:yealink)\s+)?{_YEALINK_MODEL}\s+{_VERSION}\s+{_MAC}"),
        # The MAC can be switched off in the phone, and some firmware sends its hardware id in that place.
        (boot.YEALINK, rf"(?i:yealink)[\s-]+{_YEALINK_MODEL}\s+{_VERSION}(?:\s+[\d.]+)?"),
        (
            boot.GRANDSTREAM,
            rf"Grandstream Model HW\s+(?P<model>\S+)(?:\s+\S+){{0,2}}?\s+SW {_VERSION}(?:\s+DevId {_MAC})?",
        ),
        (
            boot.GRANDSTREAM,
            r"Grandstream (?P<model>[A-Z]+\d+\w*) \(\w+\.bin:(?P<version>\d[\d.]*)/boot\w+\.bin:[\d.]+\)"
            rf"(?: DevId {_MAC})?",
        ),
        (
            boot.GRANDSTREAM,
            rf"Grandstream (?P<model>[A-Z]+-?\d+\w*)(?:\s+V\d\S*)?\s+{_VERSION}"
            rf"(?:\s+(?:DevId )?{_MAC}|\s+chip \S+)?",
        ),
    )
)


class Identity(NamedTuple):
    """Who asks; "" where not known. `model` has spaces for the agent's underscores; `stage` is Polycom's.

    `agent` tells where the vendor comes from: `phone` (a desk phone's user agent), `none` (no agent was
    sent; the vendor is the MAC prefix's) or `other` (an agent that is no desk phone's: no vendor).
    """

    vendor: str = ""
    model: str = ""
    version: str = ""
    mac: str = ""
    stage: str = ""
    agent: str = "other"


class Contradiction(NamedTuple):
    """A request whose parts disagree: the rule that it breaks, and what its agent claimed."""

    rule: str
    identity: Identity


def normal_mac(text: str) -> str | None:
    """Twelve lower-case hex digits from any usual spelling of a phone's MAC, or None."""
    digits = re.sub(r"[:.\s-]", "", text).lower()
    return digits if re.fullmatch(boot.MAC, digits) else None


def vendor_of_mac(mac: str) -> str:
    """The maker that the MAC's prefix belongs to, or ""."""
    return _VENDOR_OF_OUI.get(mac[:6], "")


@lru_cache(maxsize=4096)
def of_agent(user_agent: str) -> Identity:
    """What the user agent alone claims, in HTTP or SIP."""
    text = user_agent.strip()
    if not text:
        return Identity(agent="none")
    for vendor, pattern in _AGENTS if len(text) <= MAX_AGENT else ():
        if found := pattern.fullmatch(text):
            parts = found.groupdict()
            return Identity(
                vendor,
                parts["model"].replace("_", " "),
                parts["version"],
                normal_mac(parts.get("mac") or parts.get("serial") or "") or "",
                parts.get("stage") or "",
                "phone",
            )
    return Identity()


@lru_cache(maxsize=4096)
def identify(path: str, user_agent: str) -> Identity | Contradiction:
    """Who asks for `path`. A Contradiction names the rule: `mac-mismatch` or `not-this-makers-file`."""
    claimed = of_agent(user_agent)
    asked = boot.file_asked(path)
    if asked is None:
        return claimed
    if claimed.mac and asked.mac and claimed.mac != asked.mac:
        return Contradiction("mac-mismatch", claimed)
    if claimed.vendor and claimed.vendor not in boot.vendors_of(path):
        return Contradiction("not-this-makers-file", claimed)
    mac = claimed.mac or asked.mac
    if claimed.agent == "none":
        vendors = boot.vendors_of(path)
        vendor = vendors[0] if len(vendors) == 1 else vendor_of_mac(mac)
        return claimed._replace(vendor=vendor, mac=mac)
    return claimed._replace(mac=mac)
