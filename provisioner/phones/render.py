"""Settings to a maker's file, by skeleton: a template is rendered once a group, a phone's file is a join."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from provisioner.phones import settings
from provisioner.phones.boot import Asked
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.digit_map import spell
from provisioner.phones.formats import FORMATS, HOLE, Hole
from provisioner.phones.identity import Identity
from provisioner.phones.settings import Account, Addresses, Device
from provisioner.store.records import Credential, Phone, Snapshot

_log = logging.getLogger(__name__)


@lru_cache(maxsize=64)
def _device_of_holes(lines: int) -> Device:
    marks = [Hole(f"\ue000{index}\ue001") for index in range(3 + 5 * lines)]
    accounts = (Account(*marks[at : at + 5]) for at in range(3, len(marks), 5))
    return Device(marks[0], marks[1], marks[2], tuple(accounts))


class _Skeleton:
    """A rendered template, cut at its holes."""

    def __init__(self, text: str, escape: Callable[[object], str]) -> None:
        parts = HOLE.split(text)
        self._parts = parts[::2]
        self._holes = [int(index) for index in parts[1::2]]
        self._escape = escape

    def fill(self, own: list[str]) -> bytes:
        """The file of the phone whose values (`settings.values`) these are."""
        pieces = list(self._parts)
        escape = self._escape
        for at, index in enumerate(self._holes):
            pieces[at] += escape(own[index])
        return "".join(pieces).encode()


class Renderer:
    """The files of one snapshot's phones. The same snapshot and addresses give the same bytes, always."""

    def __init__(self, snapshot: Snapshot, addresses: Addresses, catalogue: Catalogue | None = None) -> None:
        self.snapshot = snapshot
        self.addresses = addresses
        self.catalogue = catalogue or Catalogue()
        self._site = settings.of_site(snapshot, addresses)
        self._skeletons: dict[tuple[str, str, str, int], _Skeleton] = {}
        self._context = {vendor: self._vendor_context(vendor) for vendor in self.catalogue.vendors}

    def _vendor_context(self, vendor: str) -> dict[str, Any]:
        about = self.catalogue.vendors[vendor]
        zone = self.catalogue.time_zone(vendor, self._site.time_zone)
        if zone is None:
            _log.warning(
                "%s phones do not know the time zone %s, their clocks stay as they are: choose another one",
                vendor,
                self._site.time_zone,
            )
        return {
            "site": self._site,
            "zone": zone,
            "digit_map": spell(self._site.digit_map, about.digit_map),
            "digit_map_rules": self._site.digit_map,
            "shortest_poll_seconds": about.shortest_poll_seconds,
        }

    def warm(self) -> None:
        """Render every group of adopted phones once, so that no request waits for a template."""
        groups = {
            (phone.vendor, phone.model, len(phone.lines)): phone for phone in self.snapshot.phones.values()
        }
        for phone in groups.values():
            model = self.catalogue.model(phone.vendor, phone.model)
            for name in self.catalogue.vendors[phone.vendor].files.values() if model else ():
                self._file(phone.vendor, name, model, phone)

    def file(self, asked: Asked, identity: Identity) -> bytes | None:
        """The file asked for; None when this phone has none of that kind.

        An adopted phone's files hold its accounts; one that is not adopted gets a file without any. Whether
        the asker may have the file is `trust.judge`'s to say.
        """
        phone = self.snapshot.phones.get(asked.mac)
        vendor = phone.vendor if phone else identity.vendor
        about = self.catalogue.vendors.get(vendor)
        if about is None:
            return None
        name = (about.files if phone or not asked.mac else about.waiting).get(asked.kind)
        model = self.model(asked, identity)
        if name is None or (model is None and (phone or asked.kind == "common")):
            return None
        return self._file(vendor, name, model, phone)

    def model(self, asked: Asked, identity: Identity) -> Model | None:
        """The asker's model: the adopted phone's, else what its agent says, else the file's name."""
        phone = self.snapshot.phones.get(asked.mac)
        if phone:
            return self.catalogue.model(phone.vendor, phone.model)
        if identity.model or asked.kind != "common":
            return self.catalogue.model(identity.vendor, identity.model)
        return self.catalogue.model_of_common_file(identity.vendor, asked.name[1:13])

    def _file(self, vendor: str, name: str, model: Model | None, phone: Phone | None) -> bytes:
        device = self.device(phone) if phone else Device("", "", "", ())
        key = (vendor, name, model.name if model else "", len(device.accounts))
        skeleton = self._skeletons.get(key)
        if skeleton is None:
            text = self._render(vendor, name, model, _device_of_holes(len(device.accounts)))
            skeleton = self._skeletons[key] = _Skeleton(text, FORMATS[self.catalogue.vendors[vendor].format])
        return skeleton.fill(settings.values(device))

    def device(self, phone: Phone) -> Device:
        """The settings of one adopted phone."""
        return settings.of_phone(phone, self.snapshot.credentials.get(phone.id) or Credential(id=phone.id))

    def plain(self, vendor: str, name: str, model: Model | None, device: Device) -> bytes:
        """A template rendered for one phone without a skeleton: what a skeleton must equal, byte for byte."""
        return self._render(vendor, name, model, device).encode()

    def _render(self, vendor: str, name: str, model: Model | None, device: Device) -> str:
        template = self.catalogue.template(vendor, name)
        return template.render(**self._context[vendor], model=model, device=device)
