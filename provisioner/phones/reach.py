"""How far a layer of settings reaches: which phones have it, and where a narrower layer has another word."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from provisioner.phones.catalogue import Catalogue
from provisioner.store.records import Phone, Snapshot

LAYERS = ("vendor", "model", "site", "group", "phone")  # a later one wins


class Reach(NamedTuple):
    """Phones that have a layer, and of those how many get a setting's value from a narrower one, by its name."""

    phones: int
    overridden: Counter[str]


def layers_of(phone: Phone, catalogue: Catalogue) -> tuple[str, ...]:
    """The ids of all layers that a phone can have, the widest first."""
    model = catalogue.model(phone.vendor, phone.model)
    return (
        f"vendor:{phone.vendor}",
        f"model:{phone.vendor}/{model.name if model else phone.model}",
        "site",
        *((f"group:{phone.group}",) if phone.group else ()),
        f"phone:{phone.id}",
    )


def reach(snapshot: Snapshot, layer: str, catalogue: Catalogue) -> Reach:
    """How many phones a layer touches."""
    phones, overridden = 0, Counter[str]()
    stored = snapshot.phone_settings
    narrower: Counter[tuple[str, ...]] = Counter()
    for phone in snapshot.phones.values():
        own = layers_of(phone, catalogue)
        if layer in own:
            phones += 1
            narrower[tuple(each for each in own[own.index(layer) + 1 :] if each in stored)] += 1
    for names, count in narrower.items():
        for setting in {setting for name in names for setting in stored[name].values}:
            overridden[setting] += count
    return Reach(phones, overridden)
