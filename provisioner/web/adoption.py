"""Adoption from the page and the API: the same checks, the same words."""

from __future__ import annotations

from provisioner.errors import OperatorError, UsageError
from provisioner.phones import adopt as phones
from provisioner.store.records import Phone
from provisioner.web.sources import Sources


def adopt(sources: Sources, mac: str, who: str, extension: str = "") -> Phone:
    """Adopt the waiting phone `mac` and tell edge and front. Raises ProvisionerError with what to do."""
    extension = extension.strip()
    if extension and not extension.isdecimal():
        raise UsageError("An extension is made of digits only, for example 104")
    seen = next((row for row in sources.journal.sightings() if row["mac"] == mac), None)
    if seen is None:
        raise UsageError("This phone has not asked for its files yet. Connect and start it, then adopt it")
    if not seen["vendor"] or not seen["model"]:
        raise OperatorError("This phone has not said which model it is", "restart it, then adopt it")
    adopted = phones.adopt(sources.inventory, mac, seen["vendor"], seen["model"], who, extension)
    sources.reload()
    return adopted
