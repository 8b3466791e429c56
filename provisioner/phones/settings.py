"""What one phone has of its own: its accounts, keys and secrets, which fill the holes of a skeleton."""

from __future__ import annotations

import msgspec

from provisioner.phones.catalogue import Catalogue
from provisioner.store.records import Credential, Key, LineCredential, Phone, PhoneGroup


class Addresses(msgspec.Struct, frozen=True):
    """Where phones reach this appliance; `authority`: the certificate (PEM) by which they know it, "" for none."""

    sip_host: str
    sip_port: int
    http_host: str
    http_port: int
    sips_port: int = 5061
    https_port: int = 443
    tftp_port: int = 69
    authority: str = ""


class Account(msgspec.Struct, frozen=True):
    """One line of a phone: its SIP user (extension), what key and display say, what it registers with."""

    extension: str
    name: str
    label: str
    auth_user: str
    password: str


class DeviceKey(msgspec.Struct, frozen=True):
    """A programmable key. `module`: 0 is the phone itself, from 1 its expansion modules; `index`: from 1 in it.

    `line`: the 1-based account that the key belongs to. All but `value` and `label` may be decided by.
    """

    position: int
    function: str
    line: int
    module: int
    index: int
    value: str
    label: str


class Device(msgspec.Struct, frozen=True):
    """One phone's own values; "" where it has none. `path_secret`: the folder of its provisioning URL.

    `emergency_number`: digits with the country's 1, of the number whose emergency address is that of the phone's place.
    """

    mac: str = ""
    admin_password: str = ""
    user_password: str = ""
    http_user: str = ""
    http_password: str = ""
    path_secret: str = ""
    file_key: str = ""
    emergency_number: str = ""
    accounts: tuple[Account, ...] = ()
    keys: tuple[DeviceKey, ...] = ()
    modules: tuple[str, ...] = ()

    def key_at(self, position: int, module: int = 0) -> DeviceKey | None:
        """The key with this 1-based place on the phone, or on its 1-based expansion module."""
        return next((key for key in self.keys if (key.module, key.index) == (module, position)), None)


SCALARS = (
    *("mac", "admin_password", "user_password", "http_user", "http_password", "path_secret", "file_key"),
    "emergency_number",
)
MASK = "********"
Shape = tuple[int, tuple[tuple[int, str, int, int, int], ...], tuple[str, ...], tuple[bool, ...]]


def values(device: Device) -> list[str]:
    """Every value of a phone in a fixed order: what fills the holes of a skeleton."""
    own = [
        device.mac,
        device.admin_password,
        device.user_password,
        device.http_user,
        device.http_password,
        device.path_secret,
        device.file_key,
        device.emergency_number,
    ]
    for account in device.accounts:
        own += (account.extension, account.name, account.label, account.auth_user, account.password)
    for key in device.keys:
        own += (key.value, key.label)
    return own


def masked(own: list[str], accounts: int) -> list[str]:
    """The same values without the secrets: fit to be shown and stored."""
    secret = {SCALARS.index(name) for name in SCALARS if name not in ("mac", "http_user", "emergency_number")}
    secret |= {len(SCALARS) + 5 * index + 4 for index in range(accounts)}
    return [MASK if index in secret and value else value for index, value in enumerate(own)]


def shape(device: Device, own: list[str]) -> Shape:
    """What templates may decide by: how many accounts, which keys and modules, which of its values are empty."""
    keys = tuple((key.position, key.function, key.line, key.module, key.index) for key in device.keys)
    return len(device.accounts), keys, device.modules, tuple([not value for value in own])


def from_values(shape: Shape, own: list[str]) -> Device:
    """The device of such a shape with these values: the inverse of `shape` and `values`."""
    accounts, keys, modules, _ = shape
    first, last = len(SCALARS), len(SCALARS) + 5 * accounts
    return Device(
        **dict(zip(SCALARS, own[:first], strict=True)),
        accounts=tuple(Account(*own[at : at + 5]) for at in range(first, last, 5)),
        keys=tuple(
            DeviceKey(*key, *own[at : at + 2]) for key, at in zip(keys, range(last, len(own), 2), strict=True)
        ),
        modules=modules,
    )


def of_phone(
    phone: Phone,
    credential: Credential,
    catalogue: Catalogue,
    group: PhoneGroup | None = None,
    emergency_number: str = "",
) -> Device:
    """The values of one adopted phone. A line without a credential has an empty user and password.

    Keys are the group's, the phone's own in their place where both have one.
    """
    missing = len(phone.lines) - len(credential.lines)
    secrets = (*credential.lines, *(LineCredential(auth_user="", password=""),) * missing)
    accounts = (
        Account(
            line.extension,
            line.name or line.extension,
            f"{line.extension} {line.name}".strip(),
            secret.auth_user,
            secret.password,
        )
        for line, secret in zip(phone.lines, secrets, strict=False)
    )
    return Device(
        phone.id,
        credential.admin_password,
        credential.user_password,
        credential.http_user,
        credential.http_password,
        credential.path_secret,
        credential.file_key,
        emergency_number,
        tuple(accounts),
        _keys(phone, catalogue, group),
        phone.modules,
    )


def _keys(phone: Phone, catalogue: Catalogue, group: PhoneGroup | None) -> tuple[DeviceKey, ...]:
    wanted = {key.position: key for keys in (group.keys if group else (), phone.keys) for key in keys}
    if not wanted:
        return ()
    model = catalogue.model(phone.vendor, phone.model)
    sizes = [model.keys if model else 0, *(catalogue.module_keys(phone.vendor, m) for m in phone.modules)]
    found = (_key(wanted[position], sizes, len(phone.lines)) for position in sorted(wanted))
    return tuple(key for key in found if key)


def _key(key: Key, sizes: list[int], lines: int) -> DeviceKey | None:
    """None for a key that the phone has no place for, or of a line that it has not."""
    index = key.position
    line = int(key.value) if key.function == "line" and key.value.isdecimal() else 1
    if index < 1 or not 1 <= line <= max(lines, 1):
        return None
    for module, size in enumerate(sizes):
        if index <= size:
            label = key.label or ("" if key.function == "line" else key.value)
            return DeviceKey(key.position, key.function, line, module, index, key.value, label)
        index -= size
    return None
