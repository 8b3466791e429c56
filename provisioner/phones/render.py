"""Settings to a maker's file, by skeleton: a template is rendered once a group, a phone's file is a join."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from provisioner.phones import settings
from provisioner.phones.boot import Asked
from provisioner.phones.catalogue import Catalogue, File, Kit, Model
from provisioner.phones.digit_map import DIALECTS, digit_map, spell
from provisioner.phones.encodings import ENCODINGS, seal
from provisioner.phones.formats import FORMATS, HOLE, Hole
from provisioner.phones.identity import Identity
from provisioner.phones.layers import Layers, Resolved
from provisioner.phones.names import named
from provisioner.phones.settings import Addresses, Device
from provisioner.phones.vocabulary import Value
from provisioner.store.records import Credential, Number, Phone, Snapshot

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One line of the practice's directory."""

    name: str
    extension: str


class Like(NamedTuple):
    """What phones have in common whose files come from one skeleton, but for their shape."""

    vendor: str
    model: str
    layers: tuple[str, ...]
    quirks: frozenset[str]


class Skeleton:
    """A rendered template, cut at its holes. `settings`: what its phones share, by neutral name."""

    def __init__(self, text: str, file: File, settings: dict[str, Value]) -> None:
        parts = HOLE.split(text)
        self._parts = parts[::2]
        self._holes = [int(index) for index in parts[1::2]]
        self._escape = FORMATS[file.format]
        self.text = text
        self.file = file
        self.settings = settings

    @cached_property
    def id(self) -> str:
        """The same for the same text and settings, also in another process."""
        known = msgspec.json.encode([self.text, self.settings], order="deterministic")
        return hashlib.sha256(known).hexdigest()[:32]

    def fill(self, own: list[str]) -> str:
        """The file of the phone whose values (`settings.values`) these are."""
        pieces = list(self._parts)
        escape = self._escape
        for at, index in enumerate(self._holes):
            pieces[at] += escape(own[index])
        return "".join(pieces)


class Rendered(NamedTuple):
    """A file: what goes out, the adopted phone that asked for it ("": none), and what it was made of."""

    data: bytes
    mac: str
    skeleton: Skeleton
    own: list[str]
    accounts: int
    revision: int


class Renderer:
    """The files of one snapshot's phones. The same snapshot, addresses and versions give the same bytes, always.

    `versions`: the firmware that each phone was last seen with, by MAC. `today`: from when on clocks are to be right.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Addresses,
        catalogue: Catalogue | None = None,
        versions: Mapping[str, str] | None = None,
        today: date | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.addresses = addresses
        self.catalogue = catalogue or Catalogue()
        self.layers = Layers(snapshot, addresses)
        self._versions = versions if versions is not None else {}
        self.today = today or datetime.now(UTC).date()
        self._maps = {
            name: digit_map(snapshot.practice.extension_length, snapshot.extensions(), name)
            for name in DIALECTS
        }
        self._directory = _directory(snapshot)
        self._numbers = {
            each.location: each.id for each in sorted(snapshot.numbers.values(), key=_by_name, reverse=True)
        }
        self._skeletons: dict[tuple[Like, File, settings.Shape], Skeleton] = {}
        self._devices: dict[str, tuple[Device, list[str], settings.Shape]] = {}
        self._contexts: dict[Like, dict[str, Any]] = {}
        self._effects: dict[tuple[str, str, str], frozenset[str]] = {}
        self._told: set[tuple[str, str]] = set()

    def warm(self) -> None:
        """Render every group of adopted phones once, so that no request waits for a template."""
        for phone in self.snapshot.phones.values():
            model = self.catalogue.model(phone.vendor, phone.model)
            for file in self.catalogue.kit(phone.vendor, model).files.values() if model else ():
                self._file(phone.vendor, file, model, phone, self._versions.get(phone.id, ""))

    def file(self, asked: Asked, identity: Identity) -> bytes | None:
        """The file asked for; None when this phone has none of that kind."""
        made = self.rendered(asked, identity)
        return made.data if made else None

    def rendered(self, asked: Asked, identity: Identity, sealed: bool = False) -> Rendered | None:
        """The file asked for, and what it was made of; None when this phone has none of that kind.

        An adopted phone's files hold its accounts; one that is not adopted gets a file without any. Whether
        the asker may have the file is `trust`'s to say. `sealed`: the phone has its file key.
        """
        phone = self.snapshot.phones.get(asked.mac)
        vendor = phone.vendor if phone else identity.vendor
        model = self.model(asked, identity)
        file = self.row(asked, identity)
        if file is None or (model is None and (phone or asked.kind == "common")):
            return None
        made = self._file(vendor, file, model, phone, self._version(identity.mac, identity), asked.mac)
        if sealed and phone:
            made = made._replace(data=self._sealed(asked.kind, phone, made))
        return made._replace(mac=identity.mac) if identity.mac in self.snapshot.phones else made

    def _sealed(self, kind: str, phone: Phone, made: Rendered) -> bytes:
        """The file encrypted, where the maker's phones can read that, it is wanted, and the phone has a key."""
        about = self.catalogue.vendors[phone.vendor].encryption
        credential = self.snapshot.credentials.get(phone.id)
        if about is None or kind not in about.files or not (credential and credential.file_key):
            return made.data
        wanted = made.skeleton.settings["encrypt_files"]
        return seal(made.data, credential.file_key, about) if wanted else made.data

    def files(self, phone: Phone) -> list[tuple[Asked, Identity]]:
        """What an adopted phone would ask for and get, as it would ask with its last known firmware."""
        model = self.catalogue.model(phone.vendor, phone.model)
        version = self._versions.get(phone.id, "")
        who = Identity(phone.vendor, phone.model, version, phone.id, "", "phone")
        kinds = self.catalogue.kit(phone.vendor, model).files if model else ()
        asked = (named(phone.vendor, kind, phone.id, model) for kind in kinds if model)
        return [(each, who) for each in asked if each]

    def row(self, asked: Asked, identity: Identity) -> File | None:
        """The row of the catalogue that the file asked for is made by; None when there is none."""
        phone = self.snapshot.phones.get(asked.mac)
        vendor = phone.vendor if phone else identity.vendor
        if vendor not in self.catalogue.vendors:
            return None
        kit = self.catalogue.kit(vendor, self.model(asked, identity))
        return (kit.files if phone or not asked.mac else kit.waiting).get(asked.kind)

    def model(self, asked: Asked, identity: Identity) -> Model | None:
        """The asker's model: the adopted phone's, else what its agent says, else the file's name."""
        phone = self.snapshot.phones.get(asked.mac)
        if phone:
            return self.catalogue.model(phone.vendor, phone.model)
        if asked.kind == "model_config":  # cfg<model>.xml
            named = self.catalogue.model(identity.vendor, asked.name[3:-4])
            return named or self.catalogue.model(identity.vendor, identity.model)
        if identity.model or asked.kind != "common":
            return self.catalogue.model(identity.vendor, identity.model)
        return self.catalogue.model_of_common_file(identity.vendor, asked.name[1:13])

    def device(self, phone: Phone) -> Device:
        """What one adopted phone has of its own."""
        credential = self.snapshot.credentials.get(phone.id) or Credential(id=phone.id)
        group = self.snapshot.phone_groups.get(phone.group)
        return settings.of_phone(phone, credential, self.catalogue, group, self._emergency_number(phone))

    def _emergency_number(self, phone: Phone) -> str:
        """Of the first line, where it is of the phone's place; else the nearest. How it is registered changes nothing.

        A phone's file is not to change with what a provider says at the moment.
        """
        own = self.snapshot.numbers.get(phone.lines[0].number) if phone.lines else None
        if own and self.snapshot.covers(own.location, phone.location):
            return own.id.lstrip("+")
        near = [each.id for each in self.snapshot.lineage(phone.location) if each.level != "practice"]
        return next((self._numbers[each] for each in near if each in self._numbers), "").lstrip("+")

    def resolved(self, vendor: str, model: Model | None, phone: Phone | None) -> Resolved:
        """The settings of such a phone, each with the layers that it comes from."""
        return self.layers.resolve(self.layers.key(vendor, model.name if model else "", phone))

    def like(self, vendor: str, model: Model | None, phone: Phone | None, version: str) -> Like:
        """What decides, beside its shape, which skeleton a phone's files come from."""
        name = model.name if model else ""
        effects = self._effects.get((vendor, name, version))
        if effects is None:
            effects = self.catalogue.effects(vendor, model, version)
            self._effects[vendor, name, version] = effects
        return Like(vendor, name, self.layers.key(vendor, name, phone), effects)

    def plain(self, like: Like, file: File, device: Device) -> bytes:
        """A file rendered for one phone without a skeleton: what a skeleton must equal, byte for byte."""
        return _encoded(file, self._render(like, file, device).encode(), device)

    def _version(self, mac: str, identity: Identity) -> str:
        """What the phone runs: Polycom's updater tells its own version, which is not the application's."""
        told = identity.version if identity.stage != "Updater" else ""
        return told or self._versions.get(mac, "")

    def _file(
        self, vendor: str, file: File, model: Model | None, phone: Phone | None, version: str, mac: str = ""
    ) -> Rendered:
        device, own, shape = self._own(phone, mac)
        like = self.like(vendor, model, phone, version)
        skeleton = self._skeletons.get((like, file, shape))
        if skeleton is None:
            holes = [Hole(f"\ue000{index}\ue001") if value else "" for index, value in enumerate(own)]
            text = self._render(like, file, settings.from_values(shape, holes))
            skeleton = Skeleton(text, file, self._contexts[like]["s"])
            self._skeletons[like, file, shape] = skeleton
        data = _encoded(file, skeleton.fill(own).encode(), device)
        return Rendered(data, "", skeleton, own, len(device.accounts), self.snapshot.revision)

    def _own(self, phone: Phone | None, mac: str) -> tuple[Device, list[str], settings.Shape]:
        """What fills the holes: an adopted phone's, made once for all its files; else the asker's MAC, or nothing."""
        known = self._devices.get(phone.id) if phone else None
        if known is None:
            device = self.device(phone) if phone else Device(mac)
            own = settings.values(device)
            known = device, own, settings.shape(device, own)
            if phone:
                self._devices[phone.id] = known
        return known

    def _render(self, like: Like, file: File, device: Device) -> str:
        context = self._contexts.get(like)
        if context is None:
            context = self._contexts[like] = self._context(like)
        return self.catalogue.template(like.vendor, file).render(**context, device=device)

    def _context(self, like: Like) -> dict[str, Any]:
        """What templates see beside the device (docs/phones.md)."""
        about = self.catalogue.vendors[like.vendor]
        model = self.catalogue.model(like.vendor, like.model)
        kit = self.catalogue.kit(like.vendor, model)
        s = self.layers.resolve(like.layers).values
        return {
            "s": s,
            "model": model,
            "family": about.families.get(model.family) if model else None,
            "quirk": like.quirks.__contains__,
            "zone": self._zone(like.vendor, str(s["time_zone"])),
            "digit_map": spell(self._maps[kit.digit_map], kit.digit_map),
            "digit_map_rules": self._maps[kit.digit_map],
            "authority_url": f"http://{self.addresses.http_host}:{self.addresses.http_port}/ca.pem",
            "module_keys": {module.name: module.keys for module in about.modules},
            "directory": self._directory if s["directory"] else (),
            "firmware": _firmware(str(s["firmware_server"]), model),
            "shortest_poll_seconds": about.shortest_poll_seconds,
            "authority": self.addresses.authority,
        }

    def _zone(self, vendor: str, name: str) -> dict[str, str] | None:
        zone = self.catalogue.time_zone(vendor, name, self.today) if name else None
        if zone is None and (vendor, name) not in self._told:
            self._told.add((vendor, name))
            _log.warning(
                "%s phones do not know the time zone %s, their clocks stay as they are: choose another one",
                vendor,
                name or self.snapshot.practice.time_zone,
            )
        return zone

    def kit(self, asked: Asked, identity: Identity) -> Kit | None:
        """What the asker's files are made of; None when its maker is not known."""
        phone = self.snapshot.phones.get(asked.mac)
        vendor = phone.vendor if phone else identity.vendor
        if vendor not in self.catalogue.vendors:
            return None
        return self.catalogue.kit(vendor, self.model(asked, identity))


def _by_name(number: Number) -> str:
    return number.id


def _encoded(file: File, data: bytes, device: Device) -> bytes:
    return ENCODINGS[file.encoding](data, device) if file.encoding else data


def _directory(snapshot: Snapshot) -> tuple[Entry, ...]:
    lines = (line for phone in snapshot.phones.values() for line in phone.lines)
    return tuple(sorted(Entry(line.name or line.extension, line.extension) for line in lines))


def _firmware(server: str, model: Model | None) -> str:
    """The URL of the model's first image; "" without a server or an image that is known by name."""
    image = model.images[0] if model and model.images else ""
    return f"{server.rstrip('/')}/{image}" if server and image else ""
