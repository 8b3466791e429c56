"""Stand-ins of telephone providers' emergency interfaces, well behaved or badly: for training, and for the tests."""

from __future__ import annotations

from provisioner.core.providers.account import BEHAVIOURS, Provider
from provisioner.core.providers.bandwidth import Bandwidth
from provisioner.core.providers.dash import Dash
from provisioner.core.providers.telnyx import Telnyx
from provisioner.core.providers.twilio import Twilio

PROVIDERS: dict[str, type[Provider]] = {
    "twilio": Twilio,
    "bandwidth": Bandwidth,
    "bandwidth-dash": Dash,
    "telnyx": Telnyx,
}

__all__ = ["BEHAVIOURS", "PROVIDERS", "Provider"]
