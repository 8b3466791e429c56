"""The makes of phones that can be simulated, by name; models are those of the catalogue."""

from functools import lru_cache

from provisioner.errors import UsageError
from provisioner.phones.catalogue import Catalogue
from provisioner.simulate.vendors import grandstream, polycom, yealink
from provisioner.simulate.vendors.base import Maker, PhoneType

MAKERS: dict[str, Maker] = {each.MAKER.name: each.MAKER for each in (polycom, yealink, grandstream)}
DEMO_MODELS = {"polycom": "VVX 411", "yealink": "T46S", "grandstream": "GXP2170"}


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The models that ship; a site's own are not looked for."""
    return Catalogue()


def phone_type(vendor: str, model: str = "") -> PhoneType:
    """A model, without a name the demo's of that maker. Raises UsageError when it is not known."""
    if vendor not in MAKERS:
        raise UsageError(f"{vendor!r} is no maker of simulated phones; there are {', '.join(MAKERS)}")
    found = catalogue().model(vendor, model or DEMO_MODELS[vendor])
    if found is None:
        raise UsageError(f"{model!r} is no model of {vendor}; see phone_templates/{vendor}/models.toml")
    return MAKERS[vendor].type_of(found)


def phone_types() -> list[PhoneType]:
    """All models of the catalogue, maker by maker."""
    vendors = catalogue().vendors
    return [maker.type_of(model) for name, maker in MAKERS.items() for model in vendors[name].models]
