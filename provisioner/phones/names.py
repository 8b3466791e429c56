"""The names by which an adopted phone asks for each kind of file that it gets."""

from __future__ import annotations

from provisioner.phones.boot import GRANDSTREAM, POLYCOM, YEALINK, Asked
from provisioner.phones.catalogue import Model

# A maker's kind of file (boot.KINDS): the name, with the phone's own `mac`, and its model's `common` and `model`.
NAMES = {
    (POLYCOM, "phone"): "{mac}.cfg",
    (POLYCOM, "line"): "{mac}-line.cfg",
    (POLYCOM, "keys"): "{mac}-keys.cfg",
    (POLYCOM, "site"): "{mac}-site.cfg",
    (POLYCOM, "waiting"): "waiting.cfg",
    (POLYCOM, "directory"): "{mac}-directory.xml",
    (POLYCOM, "common-directory"): "000000000000-directory.xml",
    (YEALINK, "boot"): "{mac}.boot",
    (YEALINK, "common"): "y{common}.cfg",
    (YEALINK, "phone"): "{mac}.cfg",
    (YEALINK, "phonebook"): "{mac}-phonebook.xml",
    (GRANDSTREAM, "config"): "cfg{mac}.xml",
    (GRANDSTREAM, "binary"): "cfg{mac}",
    (GRANDSTREAM, "model_config"): "cfg{model}.xml",
    (GRANDSTREAM, "maker_config"): "cfg.xml",
    (GRANDSTREAM, "phonebook"): "phonebook.xml",
}


def named(vendor: str, kind: str, mac: str, model: Model) -> Asked | None:
    """What the phone asks for to get this kind; None for a kind that it does not ask for by itself.

    A Yealink model without a number of its own asks for the first common file there is.
    """
    name = NAMES.get((vendor, kind))
    if name is None:
        return None
    common = f"{int(model.common or 0):012}"
    text = name.format(mac=mac, common=common, model=model.name.lower().replace(" ", ""))
    return Asked(kind, mac if "{mac}" in name else "", text)
