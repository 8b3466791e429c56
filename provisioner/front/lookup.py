"""What a request is answered with, over whatever it came: the one place where the front asks the rules of trust."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from provisioner.front.uploads import Uploads
from provisioner.phones.boot import GRANDSTREAM, POLYCOM, YEALINK, last_segment
from provisioner.phones.identity import of_agent
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Verdict, judge, judge_upload

# The authority's certificate under names that phones are told: PEM, and DER for those that read nothing else.
AUTHORITY_NAMES = {"ca.pem": "pem", "ca.crt": "pem", "ca.der": "der", "ca.cer": "der"}
_AUTHORITY_TYPES = {"pem": "application/x-pem-file", "der": "application/pkix-cert"}
_AUTHORITY_ENDS = tuple(AUTHORITY_NAMES)

# The file with a phone's own secrets. Who may have that may have what the phone uploaded.
_OWN_FILE = {POLYCOM: "{}-line.cfg", YEALINK: "{}.cfg", GRANDSTREAM: "cfg{}.xml"}


class Asker(NamedTuple):
    """One request as the front received it; "" for what is not known.

    `certificate`: the common name of a client certificate that a maker's authority signed. `scheme`: http, https,
    legacy or tftp.
    """

    path: str
    user_agent: str = ""
    address: str = ""
    neighbour: str = ""
    certificate: str = ""
    authorization: str = ""
    method: str = "GET"
    scheme: str = "http"
    local: bool = False


class Lookup:
    """`renderer` is None until an inventory has been read; `authority`: this appliance's, in PEM and in DER."""

    def __init__(self, uploads: Uploads) -> None:
        self.renderer: Renderer | None = None
        self.authority: dict[str, bytes] = {}
        self._uploads = uploads

    def fetch(self, asker: Asker) -> Verdict:
        """What a read is answered with; of firmware only the rule, its body is not in memory."""
        path = asker.path
        if path.lower().endswith(_AUTHORITY_ENDS) and (known := self._certificate(asker)):
            return known
        if self.renderer is None:
            # Never a file without an account: a phone would take it for its new configuration.
            return Verdict.unready()
        verdict = judge(self.renderer, path, asker.user_agent)
        if verdict.rule != "not-there" or verdict.asked is None:
            return verdict
        if verdict.asked.kind == "firmware":
            return verdict.because("firmware")
        return self._uploaded(self.renderer, asker, verdict)

    def upload(self, asker: Asker) -> Verdict:
        """Whether what is sent may be kept."""
        if self.renderer is None:
            return Verdict.unready()
        return judge_upload(self.renderer, asker.method, asker.path, asker.user_agent)

    def url(self, mac: str, authority: str) -> str:
        """Where the phone `mac` is told to look for its files; "" when it may not be told.

        Whoever says to be that phone hears it: it holds no secret.
        """
        if self.renderer is None:
            return ""
        snapshot = self.renderer.snapshot
        may = mac in snapshot.phones or snapshot.practice.adoption == "open"
        return f"http://{authority}/" if may else ""

    def _certificate(self, asker: Asker) -> Verdict | None:
        form = AUTHORITY_NAMES.get(last_segment(asker.path) or "")
        body = self.authority.get(form or "")
        if form is None or body is None:
            return None
        who = of_agent(asker.user_agent)
        return Verdict("authority", who, None, body, _AUTHORITY_TYPES[form])

    def _uploaded(self, renderer: Renderer, asker: Asker, verdict: Verdict) -> Verdict:
        """What the phone uploaded under this name, for who may have the phone's secrets."""
        asked = verdict.asked
        assert asked
        phone = renderer.snapshot.phones.get(asked.mac)
        if phone is None or phone.vendor not in _OWN_FILE:
            return verdict
        body = self._uploads.read(asked)
        if body is None:
            return verdict
        own = PurePosixPath(asker.path.partition("?")[0]).with_name(_OWN_FILE[phone.vendor].format(phone.id))
        proof = judge(renderer, str(own), asker.user_agent)
        if proof.rule != "adopted":
            return proof._replace(asked=asked, body=None)
        return proof._replace(rule="kept", asked=asked, body=body)
