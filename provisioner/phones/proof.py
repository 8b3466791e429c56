"""What shows that an asker is the phone that it says it is, and what a phone's first contact was."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from provisioner.phones import boot
from provisioner.phones.identity import normal_mac
from provisioner.sip import digest
from provisioner.store.records import Credential, Practice

FIRST_CONTACT_SECONDS = 3600.0  # for a phone that loads firmware and starts again before it proves itself
REALM = "provisioner"
# Old phones look at the first challenge only, and know nothing but MD5.
ALGORITHMS = ("MD5", "SHA-256")

LONGEST_FOLDER = 25  # of a path that is no secret: phones have a SoundPointIPLocalization
_OWN_FOLDER = re.compile(r"(?<=/)[^/]{26,}(?=/)")


class Asker(NamedTuple):
    """One request as the front received it; "" for what is not known.

    `neighbour`: the MAC that the kernel's neighbour table has for `address` on the link, "" behind a router.
    `certificate`: the common name of a client certificate that a maker's authority signed. `scheme`: http, https
    or tftp. `local`: it comes from this very host.
    """

    path: str
    user_agent: str = ""
    address: str = ""
    neighbour: str = ""
    certificate: str = ""
    authorization: str = ""
    method: str = "GET"
    scheme: str = "http"
    local: bool = False


class Proof(NamedTuple):
    """`by`: what proved the asker, a rule of trust.RULES, or ""; then `refusal` is the rule that says why not."""

    by: str = ""
    refusal: str = "proof-required"


class Contact(msgspec.Struct):
    """Where a phone was when it got its secrets. `welcome`: the Credential.welcome_until that this used up."""

    address: str
    began: float
    welcome: float
    proved: bool = False


class Contacts:
    """The contact of each adopted phone that got its secrets. `changed` until `dump` is called."""

    def __init__(self) -> None:
        self._held: dict[str, Contact] = {}
        self._addresses: dict[str, str] = {}
        self.changed = False

    def load(self, data: bytes) -> None:
        """What `dump` gave. Raises msgspec.MsgspecError."""
        self._held = msgspec.json.decode(data, type=dict[str, Contact])
        self._addresses = {contact.address: mac for mac, contact in self._held.items()}

    def dump(self, known: object = None) -> bytes:
        """All contacts as JSON, those of the MACs in `known` (a container) only."""
        if known is not None:
            self._held = {mac: contact for mac, contact in self._held.items() if mac in known}  # type: ignore[operator]
            self._addresses = {contact.address: mac for mac, contact in self._held.items()}
        self.changed = False
        return msgspec.json.encode(self._held)

    def get(self, mac: str) -> Contact | None:
        """The contact of a phone."""
        return self._held.get(mac)

    def at(self, address: str) -> bool:
        """Whether a phone got its secrets at this address."""
        return address in self._addresses

    def proved(self, mac: str, address: str, welcome: float, now: float) -> None:
        """The phone proved itself: its first contact is over."""
        held = self._held.get(mac)
        if held is None or not held.proved or held.address != address or held.welcome != welcome:
            self._put(mac, Contact(address, now, welcome, True))

    def first(self, mac: str, address: str, welcome: float, now: float) -> None:
        """The phone got its secrets on trust."""
        held = self._held.get(mac)
        if held is None or held.welcome != welcome:
            self._put(mac, Contact(address, now, welcome))

    def _put(self, mac: str, contact: Contact) -> None:
        before = self._held.get(mac)
        if before and self._addresses.get(before.address) == mac:
            del self._addresses[before.address]
        self._held[mac] = contact
        self._addresses[contact.address] = mac
        self.changed = True


def window_open(practice: Practice, now: float) -> bool:
    """Whether phones that nobody adopted get anything, and adopted ones their first files, on trust."""
    return practice.adoption == "open" and (not practice.adoption_until or now < practice.adoption_until)


class Proofs:
    """Judges proofs. `now`: seconds since 1970. `secret`: of the nonces."""

    def __init__(self, now: Callable[[], float], secret: bytes) -> None:
        self._now = now
        self._digest = digest.Authenticator(REALM, secret, now, ALGORITHMS)
        self.contacts = Contacts()

    def challenges(self, asker: Asker) -> list[str]:
        """Values of WWW-Authenticate; Basic only where nobody can listen."""
        basic = [f'Basic realm="{REALM}"'] if asker.scheme == "https" else []
        return self._digest.challenges(asker.address) + basic

    def of(self, practice: Practice, credential: Credential, asker: Asker) -> Proof:
        """What proves that the asker is the phone whose credential this is; changes nothing."""
        mac = credential.id
        if asker.certificate:
            return (
                Proof("certificate")
                if normal_mac(asker.certificate) == mac
                else Proof("", "other-certificate")
            )
        if practice.adoption == "certificate":
            return Proof("", "certificate-required")
        if asker.local:
            return Proof("adopted")
        if asker.neighbour == mac:
            return Proof("neighbour")
        if asker.authorization:
            found = self._authorized(credential, asker)
            if found.by or not asker.neighbour:
                return found
        if asker.neighbour:
            return Proof("", "other-neighbour")
        return self._by_path(credential, asker)

    def welcome(self, practice: Practice, credential: Credential, asker: Asker) -> bool:
        """Whether an asker without any proof may be taken for the phone, since it is its first contact."""
        now, contact = self._now(), self.contacts.get(credential.id)
        if asker.neighbour or practice.adoption == "certificate":
            return False
        if contact is None or contact.welcome != credential.welcome_until:
            return window_open(practice, now) or now < credential.welcome_until
        first = not contact.proved and contact.address == asker.address
        return first and now - contact.began < FIRST_CONTACT_SECONDS

    def served(self, credential: Credential, asker: Asker, by: str) -> None:
        """The asker got the phone's file because of `by`."""
        if by == "first-contact":
            self.contacts.first(credential.id, asker.address, credential.welcome_until, self._now())
        elif not asker.local:
            self.contacts.proved(credential.id, asker.address, credential.welcome_until, self._now())

    def _authorized(self, credential: Credential, asker: Asker) -> Proof:
        password = credential.http_password
        if not password:
            return Proof()
        if asker.authorization[:6].lower() == "basic ":
            right = hmac.compare_digest(
                _basic(asker.authorization), f"{credential.http_user}:{password}".encode()
            )
            # Whoever heard it once can say it again, so that it does not outweigh another MAC on the link.
            return Proof("credentials") if right and not asker.neighbour else Proof("", "wrong-credentials")
        name = digest.parse_credentials(asker.authorization).get("uri") or ""
        if boot.last_segment(name) != boot.last_segment(asker.path):
            return Proof("", "wrong-credentials")
        found = self._digest.check(
            asker.authorization,
            asker.method,
            asker.address,
            lambda user: password if user == credential.http_user else None,
        )
        if found.outcome == "ok":
            return Proof("credentials")
        return Proof("", "proof-required" if found.outcome == "stale" else "wrong-credentials")

    def _by_path(self, credential: Credential, asker: Asker) -> Proof:
        if not holds(asker.path, credential.path_secret):
            return Proof()
        contact = self.contacts.get(credential.id)
        if contact and contact.address != asker.address and contact.welcome == credential.welcome_until:
            return Proof("", "replayed-path")
        return Proof("secret-path")


def holds(path: str, secret: str) -> bool:
    """Whether a folder of `path` is `secret`, in capitals or not."""
    if not secret or len(path) > boot.MAX_PATH:
        return False
    wanted = secret.lower().encode()
    folders = path.partition("?")[0].lower().encode("utf-8", "replace").split(b"/")[:-1]
    return any(hmac.compare_digest(folder, wanted) for folder in folders)


def _basic(authorization: str) -> bytes:
    try:
        return base64.b64decode(authorization[6:].strip().encode("ascii"), validate=True)
    except ValueError:
        return b""


def masked(path: str) -> str:
    """A path as people may read it: without its query, and with no folder that may be a phone's own."""
    path = path.partition("?")[0]
    return _OWN_FOLDER.sub("***", path) if len(path) > LONGEST_FOLDER else path
