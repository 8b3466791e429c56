"""What a request is answered with, over whatever it came: the one place where the front asks the rules of trust."""

from __future__ import annotations

import time

from provisioner.front.door import Door
from provisioner.front.uploads import READ_BACK
from provisioner.phones import overrides
from provisioner.phones.boot import Asked, last_segment
from provisioner.phones.identity import Identity, of_agent
from provisioner.phones.proof import Asker, window_open
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Verdict

# The authority's certificate under names that phones are told: PEM, and DER for those that read nothing else.
AUTHORITY_NAMES = {"ca.pem": "pem", "ca.crt": "pem", "ca.der": "der", "ca.cer": "der"}
_AUTHORITY_TYPES = {"pem": "application/x-pem-file", "der": "application/pkix-cert"}
_AUTHORITY_ENDS = tuple(AUTHORITY_NAMES)


class Lookup:
    """`renderer` is None until an inventory has been read; `authority`: this appliance's, in PEM and in DER."""

    def __init__(self, door: Door) -> None:
        self.renderer: Renderer | None = None
        self.authority: dict[str, bytes] = {}
        self.door = door

    def judge(self, asker: Asker) -> Verdict:
        """The verdict, with the body when it is in memory; an image of rule `firmware` is not."""
        if asker.path.lower().endswith(_AUTHORITY_ENDS) and (known := self._certificate(asker)):
            return known
        if self.renderer is None:
            # Never a file without an account: a phone would take it for its new configuration.
            return Verdict.unready()
        verdict = self.door.judge(self.renderer, asker)
        if verdict.rule == "not-there" and verdict.asked and verdict.asked.kind == "firmware":
            return verdict.because("firmware")
        return verdict

    def owned(self, mac: str) -> frozenset[str]:
        """The parameters that our own files for the adopted phone `mac` set, in lower case."""
        renderer = self.renderer
        phone = renderer.snapshot.phones.get(mac) if renderer else None
        if renderer is None or phone is None:
            return frozenset()
        who = Identity(phone.vendor, phone.model, mac=mac, agent="phone")
        kinds = renderer.catalogue.kit(
            phone.vendor, renderer.catalogue.model(phone.vendor, phone.model)
        ).files
        files = (renderer.file(Asked(kind, mac, ""), who) for kind in kinds if kind not in READ_BACK)
        return overrides.owned(data for data in files if data)

    def model(self, who: Identity) -> str:
        """What the catalogue calls the model of who asks; as the agent does where it is not known."""
        known = self.renderer.catalogue.model(who.vendor, who.model) if self.renderer else None
        return known.name if known else who.model

    def url(self, mac: str, authority: str) -> str:
        """Where the phone `mac` is told to look for its files; "" when it may not be told.

        Whoever says to be that phone hears it: it holds no secret.
        """
        if self.renderer is None:
            return ""
        snapshot = self.renderer.snapshot
        may = mac in snapshot.phones or window_open(snapshot.practice, time.time())
        return f"http://{authority}/" if may else ""

    def _certificate(self, asker: Asker) -> Verdict | None:
        form = AUTHORITY_NAMES.get(last_segment(asker.path) or "")
        body = self.authority.get(form or "")
        if form is None or body is None or asker.method not in ("GET", "HEAD"):
            return None
        who = of_agent(asker.user_agent)
        return Verdict("authority", who, None, body, _AUTHORITY_TYPES[form])
