"""The settings of a phone from their layers; each value remembers which layer it comes from."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import NamedTuple

from provisioner.errors import OperatorError
from provisioner.phones.settings import Addresses
from provisioner.phones.vocabulary import SETTINGS, Stored, Value, check
from provisioner.store.records import Phone, PhoneSettings, Snapshot

_log = logging.getLogger(__name__)

BUILT_IN = "built-in"
PRACTICE = "practice"
_IDS = re.compile(r"site|vendor:[a-z]+|model:[a-z]+/[^/]+|group:[^/]+|phone:[0-9a-f]{12}")


class Layer(NamedTuple):
    """Values of one layer; the name is `built-in`, `practice` or the id of a PhoneSettings record."""

    name: str
    values: dict[str, Value]


class Origin(NamedTuple):
    """One layer's value of a setting."""

    layer: str
    value: Value


class Resolved:
    """What the layers come to: `values` by neutral name, all of them; a later layer wins."""

    def __init__(self, layers: tuple[Layer, ...], addresses: Addresses) -> None:
        self.layers = layers
        self.values: dict[str, Value] = {}
        for layer in layers:
            self.values.update(layer.values)
        self._fill_ports(addresses)

    def _fill_ports(self, addresses: Addresses) -> None:
        """Ports that no layer names follow the transport and the scheme."""
        ports = {
            "registrar_port": addresses.sips_port
            if self.values["transport"] == "tls"
            else addresses.sip_port,
            "provisioning_port": {
                "http": addresses.http_port,
                "https": addresses.https_port,
                "tftp": addresses.tftp_port,
            }[str(self.values["provisioning_scheme"])],
        }
        self.layers[0].values.update(ports)
        for name, port in ports.items():
            if not any(name in layer.values for layer in self.layers[1:]):
                self.values[name] = port

    def origins(self, name: str) -> tuple[Origin, ...]:
        """The value of a setting in each layer that has one; the last is in force, it overrides the others."""
        return tuple(Origin(layer.name, layer.values[name]) for layer in self.layers if name in layer.values)


def check_layer(record: PhoneSettings) -> None:
    """Whether a layer may be stored: raises OperatorError for an id that no phone has, or a wrong name or value."""
    if not _IDS.fullmatch(record.id):
        raise OperatorError(
            f"{record.id!r} is no layer of settings",
            "write vendor:yealink, model:yealink/T46S, site, group:ID or phone:MAC",
        )
    for name, value in record.values.items():
        check(name, value, record.id)


class Layers:
    """The layers of one snapshot. What a stored layer has wrong is left out, and `warnings` names it."""

    def __init__(self, snapshot: Snapshot, addresses: Addresses) -> None:
        self.warnings: list[str] = []
        self._addresses = addresses
        self._phones = snapshot.phones
        self._practice = Layer(
            PRACTICE, self._sound(PRACTICE, {"time_zone": snapshot.practice.time_zone}.items())
        )
        for record in snapshot.phone_settings.values():
            if not _IDS.fullmatch(record.id):
                self._warn(f"{record.id!r} is no layer of settings: remove it")
        self._stored = {
            record.id: Layer(record.id, self._sound(record.id, record.values.items()))
            for record in snapshot.phone_settings.values()
        }

    def _sound(self, layer: str, values: Iterable[tuple[str, Stored]]) -> dict[str, Value]:
        sound = {}
        for name, value in values:
            try:
                sound[name] = check(name, value, layer)
            except OperatorError as error:
                self._warn(str(error))
        return sound

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        _log.warning("%s; phones do without it", text)

    def _built_in(self) -> Layer:
        here = {
            "registrar_host": self._addresses.sip_host,
            "provisioning_host": self._addresses.http_host,
        }
        return Layer(BUILT_IN, {name: here.get(name, row.default) for name, row in SETTINGS.items()})

    def key(self, vendor: str, model: str, phone: Phone | None) -> tuple[str, ...]:
        """The stored layers that such a phone has; phones with the same ones have the same settings."""
        if not self._stored:
            return ()
        names = [f"vendor:{vendor}", f"model:{vendor}/{model}", "site"]
        if phone:
            names += [f"group:{phone.group}", f"phone:{phone.id}"]
        return tuple(name for name in names if name in self._stored)

    def resolve(self, key: tuple[str, ...]) -> Resolved:
        """The settings of the phones with these stored layers (what `key` returned)."""
        general = [name for name in key if name.startswith(("vendor:", "model:"))]
        own = [name for name in key if name not in general]
        layers = (
            self._built_in(),
            *(self._stored[name] for name in general),
            self._practice,
            *(self._stored[name] for name in own),
        )
        return Resolved(layers, self._addresses)
