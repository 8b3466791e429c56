"""What a phone is told by NOTIFY, each maker in its dialect, and what a person does where it cannot be told.

Data: `phone_templates/<vendor>/notify.toml`; a site's own file wins over what ships.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

import msgspec

from provisioner.errors import OperatorError
from provisioner.paths import shipped

Mode = Literal["resync", "restart", "reset"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that a phone can be told to do; times in seconds.

    `event`: of the NOTIFY, with its parameters; "": none does it. `reboots`: whether the phone restarts for it.
    `settle_seconds`: when a phone that may restart has begun to, counted from the last file that it asked for.
    `patience_seconds`: for its return, from the NOTIFY on. `keys`: what a person does at the phone instead.
    """

    keys: str
    event: str = ""
    reboots: Literal["if-changed", "always"] = "if-changed"
    settle_seconds: float = 10.0
    patience_seconds: float = 0.0

    @property
    def patience(self) -> float:
        """A restart with new firmware takes some minutes, asking for files well below one."""
        return self.patience_seconds or (480.0 if self.reboots == "always" else 300.0)


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What some models of a maker do otherwise. `models`: patterns as of a shell."""

    models: tuple[str, ...]
    resync: Order | None = None
    restart: Order | None = None
    reset: Order | None = None


class Dialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of one maker."""

    resync: Order
    restart: Order
    reset: Order
    other: tuple[Orders, ...] = ()

    def order(self, model: str, mode: Mode) -> Order:
        """What `model` is told, however it is spelled; the first of `other` that knows better wins."""
        model = model.replace("_", " ")
        for orders in self.other:
            own: Order | None = getattr(orders, mode)
            if own and any(fnmatchcase(model, pattern) for pattern in orders.models):
                return own
        found: Order = getattr(self, mode)
        return found


_READY = msgspec.json.Decoder(
    Dialect
)  # msgspec 0.22 crashes when two threads are the first to convert to a type


UNKNOWN = Order(keys="Unplug it for ten seconds: it asks for its files when it starts.")
"""For a maker whose dialect is not known: nothing is sent."""


class Dialects:
    """The dialects of all makers by name; `folders` are looked through in order, a later one's file wins."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        files: dict[str, Path] = {}
        for folder in (shipped("phone_templates"), *folders):
            files |= {file.parent.name: file for file in folder.glob("*/notify.toml")}
        self._dialects = {vendor: _load(file) for vendor, file in files.items()}
        self._known: dict[tuple[str, str, Mode], Order] = {}

    def order(self, vendor: str, model: str, mode: Mode) -> Order:
        """What a phone is told. Never raises: of an unknown maker, nothing."""
        key = (vendor, model, mode)
        if key not in self._known:
            dialect = self._dialects.get(vendor)
            self._known[key] = dialect.order(model, mode) if dialect else UNKNOWN
        return self._known[key]


def _load(path: Path) -> Dialect:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Dialect)
    except (OSError, ValueError) as error:  # msgspec.ValidationError is a ValueError
        raise OperatorError(f"{path} cannot be read ({error})", "mend it, or remove it") from None
