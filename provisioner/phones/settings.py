"""The neutral vocabulary: what a phone is set to, before any maker's spelling (docs/phones.md)."""

from __future__ import annotations

import msgspec

from provisioner.phones.digit_map import Rule, digit_map
from provisioner.store.records import Credential, LineCredential, Phone, Snapshot


class Addresses(msgspec.Struct, frozen=True):
    """Where phones reach this appliance."""

    sip_host: str
    sip_port: int
    http_host: str
    http_port: int


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What all phones of the practice share. Times in seconds; `time_zone` is an IANA name."""

    registrar_host: str
    registrar_port: int
    transport: str = "udp"
    register_seconds: int = 600
    provisioning_host: str
    provisioning_port: int
    poll_seconds: int = 7200
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    dtmf_payload: int = 101
    digit_map: tuple[Rule, ...]
    digit_map_pause_seconds: int = 3
    emergency_numbers: tuple[str, ...] = ("911", "933", "988", "112")
    ntp_server: str = "pool.ntp.org"
    time_zone: str
    call_history: bool = False
    phone_do_not_disturb: bool = False
    phone_forward: bool = False


class Account(msgspec.Struct, frozen=True):
    """One line of a phone: its SIP user (extension), what key and display say, what it registers with."""

    extension: str
    name: str
    label: str
    auth_user: str
    password: str


class Device(msgspec.Struct, frozen=True):
    """What one phone has of its own: its MAC, its accounts, the passwords of its own pages."""

    mac: str
    admin_password: str
    user_password: str
    accounts: tuple[Account, ...]


def of_site(snapshot: Snapshot, addresses: Addresses) -> Site:
    """The settings that the practice's phones share."""
    return Site(
        registrar_host=addresses.sip_host,
        registrar_port=addresses.sip_port,
        provisioning_host=addresses.http_host,
        provisioning_port=addresses.http_port,
        digit_map=digit_map(snapshot.practice.extension_length, snapshot.extensions()),
        time_zone=snapshot.practice.time_zone,
    )


def of_phone(phone: Phone, credential: Credential) -> Device:
    """The settings of one adopted phone. A line without a credential has an empty user and password."""
    missing = len(phone.lines) - len(credential.lines)
    secrets = (*credential.lines, *(LineCredential(auth_user="", password=""),) * missing)
    accounts = (
        Account(
            line.extension, line.name or line.extension, _label(line.extension, line.name), *_pair(secret)
        )
        for line, secret in zip(phone.lines, secrets, strict=False)
    )
    return Device(phone.id, credential.admin_password, credential.user_password, tuple(accounts))


def _label(extension: str, name: str) -> str:
    return f"{extension} {name}".strip()


def _pair(secret: LineCredential) -> tuple[str, str]:
    return secret.auth_user, secret.password


def values(device: Device) -> list[str]:
    """Every value of a phone in a fixed order: what fills the holes of a skeleton."""
    own = [device.mac, device.admin_password, device.user_password]
    for account in device.accounts:
        own += (account.extension, account.name, account.label, account.auth_user, account.password)
    return own
