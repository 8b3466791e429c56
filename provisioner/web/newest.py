"""Which phones run older firmware than is known to exist for them; each model's is looked up once."""

from __future__ import annotations

from pathlib import Path

from provisioner.firmware import rules
from provisioner.phones.catalogue import Catalogue


class Newest:
    """The newest firmware by maker, model and what runs. `own`: the site's folder of rules."""

    def __init__(self, catalogue: Catalogue, own: Path) -> None:
        self.catalogue = catalogue
        self._rules = {vendor: rules.load(vendor, [own]) for vendor in catalogue.vendors}
        self._found: dict[tuple[str, str, str], str] = {}

    def of(self, vendor: str, model: str, running: str) -> str:
        """The newest version that such a phone could run, "" when there is none newer or nothing is known."""
        key = vendor, model, running
        if key not in self._found:
            self._found[key] = self._look(*key)
        return self._found[key]

    def _look(self, vendor: str, name: str, running: str) -> str:
        model = self.catalogue.model(vendor, name) if running else None
        if model is None:
            return ""
        table = model.firmware or self.catalogue.kit(vendor, model).firmware
        family = self._rules[vendor].families.get(table)
        return rules.newest(vendor, family, model.name, running) if family else ""
