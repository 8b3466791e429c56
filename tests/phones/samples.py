"""A small practice for the tests of phones and front."""

from __future__ import annotations

import msgspec

from provisioner.phones.render import Renderer
from provisioner.phones.settings import Addresses
from provisioner.store.records import Credential, Line, LineCredential, Phone, Practice, Snapshot

AGENTS = {
    "0004f2000101": "FileTransport PolycomVVX-VVX_411-UA/5.9.6.2327 Type/Application",
    "001565000102": "Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:02",
    "000b82000103": "Grandstream Model HW GXP2170 SW 1.0.11.64 DevId 000b82000103",
}
MODELS = {
    "0004f2000101": ("polycom", "VVX 411", "101"),
    "001565000102": ("yealink", "T46S", "102"),
    "000b82000103": ("grandstream", "GXP2170", "103"),
}
ADDRESSES = Addresses("192.0.2.10", 5060, "192.0.2.10", 8080)
PRACTICE = Practice(id="practice", name="Elm Street Clinic", main_number="+14155550100")


def password(mac: str) -> str:
    return f"secret{mac}abcdef"


def snapshot(**practice: object) -> Snapshot:
    return Snapshot(
        revision=7,
        practice=msgspec.structs.replace(PRACTICE, **practice),
        phones={
            mac: Phone(
                id=mac,
                vendor=vendor,
                model=model,
                lines=(Line(extension=extension, number=f"+14155550{extension}", name=f"Room {extension}"),),
            )
            for mac, (vendor, model, extension) in MODELS.items()
        },
        credentials={
            mac: Credential(
                id=mac,
                lines=(LineCredential(auth_user=mac, password=password(mac)),),
                admin_password=f"admin{mac}",
                user_password=f"user{mac}",
            )
            for mac in MODELS
        },
    )


def renderer(**practice: object) -> Renderer:
    return Renderer(snapshot(**practice), ADDRESSES)
