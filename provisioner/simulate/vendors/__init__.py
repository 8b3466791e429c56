"""The makes of phones that can be simulated, by name."""

from provisioner.simulate.vendors import grandstream, polycom, yealink
from provisioner.simulate.vendors.base import Maker

MAKERS: dict[str, Maker] = {each.MAKER.name: each.MAKER for each in (polycom, yealink, grandstream)}
