"""Whether the one who asks may have what is asked for, and by which rule; the same for HTTP and TFTP."""

from __future__ import annotations

from typing import NamedTuple

from provisioner.phones import boot
from provisioner.phones.identity import Contradiction, Identity, identify
from provisioner.phones.render import Renderer

# Each rule's status and words; the names appear in the journal and in docs/phones.md.
RULES = {
    "adopted": (200, "the file of an adopted phone"),
    "shared": (200, "a file that all phones of a maker share"),
    "waiting": (200, "the phone waits for adoption: a file without an account"),
    "no-such-file": (404, "not the name of a phone's file"),
    "not-there": (404, "an optional file that there is none of"),
    "unknown-model": (404, "there is no template for this model"),
    "mac-mismatch": (403, "the agent's MAC is not the one in the file's name"),
    "not-this-makers-file": (403, "phones of this maker ask for no such file"),
    "not-a-phone": (403, "the user agent is not a desk phone's"),
    "other-maker": (403, "the adopted phone with this MAC is of another maker"),
    "upload": (201, "a log of an adopted phone"),
    "not-adopted": (403, "only adopted phones may upload"),
    "override-refused": (403, "changes made on the phone are not kept: change them in the inventory"),
    "upload-refused": (403, "this file may not be uploaded"),
    "no-such-method": (405, "phones' files can be fetched, and logs be put"),
    "too-large": (413, "an upload is too large"),
    "no-space": (507, "an upload could not be stored"),
    "bad-request": (400, "the request could not be understood, or took too long"),
    "not-ready": (503, "the inventory has not been read yet"),
}


class Verdict(NamedTuple):
    """The answer to one request: a rule of RULES, who asked, and the body when there is one."""

    rule: str
    identity: Identity
    asked: boot.Asked | None = None
    body: bytes | None = None
    content_type: str = "text/plain"

    @property
    def status(self) -> int:
        return RULES[self.rule][0]

    @property
    def words(self) -> bytes:
        """The rule in words, as the body of an answer that has no file."""
        return f"{RULES[self.rule][1]}\n".encode()

    def because(self, rule: str) -> Verdict:
        """The same asker, answered by another rule."""
        return self._replace(rule=rule, body=None)

    @classmethod
    def unready(cls) -> Verdict:
        """Before an inventory has been read."""
        return cls("not-ready", Identity())


def judge(renderer: Renderer, path: str, user_agent: str) -> Verdict:
    """What `path` is answered with. Never raises for anything that a peer can send."""
    who = identify(path, user_agent)
    asked = boot.file_asked(path)
    if isinstance(who, Contradiction):
        return Verdict(who.rule, who.identity, asked)
    if asked is None:
        return Verdict("no-such-file", who)
    rule = _refusal(renderer, asked, who)
    if rule:
        return Verdict(rule, who, asked)
    body = renderer.file(asked, who)
    if body is None:
        return Verdict("not-there", who, asked)
    row = renderer.row(asked, who)
    adopted = asked.mac in renderer.snapshot.phones
    rule = "adopted" if adopted else "waiting" if asked.mac else "shared"
    return Verdict(rule, who, asked, body, row.content_type if row else "text/plain")


_UPLOADS = {"override": "override-refused", "upload": "upload"}


def judge_upload(renderer: Renderer, method: str, path: str, user_agent: str) -> Verdict:
    """Whether a body sent to `path` may be kept: only the logs of adopted phones, by PUT."""
    who = identify(path, user_agent)
    asked = boot.file_asked(path)
    if isinstance(who, Contradiction):
        return Verdict(who.rule, who.identity, asked)
    if asked is None:
        return Verdict("no-such-file", who)
    if method != "PUT":
        return Verdict("no-such-method", who, asked)
    rule = _UPLOADS.get(asked.kind, "upload-refused")
    if rule == "upload":
        phone = renderer.snapshot.phones.get(asked.mac)
        if who.agent == "other":
            rule = "not-a-phone"
        elif phone is None:
            rule = "not-adopted"
        elif who.vendor != phone.vendor:
            rule = "other-maker"
    return Verdict(rule, who, asked)


def _refusal(renderer: Renderer, asked: boot.Asked, who: Identity) -> str:
    phone = renderer.snapshot.phones.get(asked.mac)
    if who.agent == "other":
        return "not-a-phone"
    if phone and who.agent == "phone" and phone.vendor != who.vendor:
        return "other-maker"
    served = renderer.kit(asked, who)
    if served is None or (asked.kind not in served.files and asked.kind not in served.waiting):
        return "not-there"
    named = phone or who.model or asked.kind == "common"
    return "unknown-model" if named and renderer.model(asked, who) is None else ""
