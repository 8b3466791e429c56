"""Whether the one who asks may have what is asked for, and by which rule; the same for HTTP and TFTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from provisioner.phones import boot
from provisioner.phones.identity import Contradiction, Identity, identify, normal_mac
from provisioner.phones.limits import Limits, Quarantine, Sources, source_of
from provisioner.phones.proof import Asker, Proof, Proofs, holds, window_open
from provisioner.phones.render import Rendered, Renderer
from provisioner.sip.digest import parse_credentials
from provisioner.store.records import Credential, Snapshot

# Each rule's status and words; the names appear in the journal and in docs/phones.md.
RULES = {
    "adopted": (200, "the file of an adopted phone, asked for on this very host"),
    "certificate": (200, "the phone showed its maker's certificate"),
    "neighbour": (200, "the asker's MAC on the network is the phone's"),
    "credentials": (200, "the phone knows its user and password"),
    "secret-path": (200, "the phone asked in its own folder"),
    "first-contact": (200, "the phone's first contact since it was adopted"),
    "shared": (200, "a file that all phones of a maker share"),
    "waiting": (200, "the phone waits for adoption: a file without an account"),
    "proof-required": (401, "the phone is adopted, and the asker does not show that it is that phone"),
    "wrong-credentials": (401, "the user or password is wrong"),
    "other-neighbour": (401, "the phone is adopted, and the asker's MAC on the network is another"),
    "replayed-path": (401, "the phone's own folder, asked for at another address"),
    "neighbour-mismatch": (403, "the asker's MAC on the network is not the one in the file's name"),
    "other-certificate": (403, "the certificate is another phone's"),
    "certificate-required": (403, "only phones that show a maker's certificate get files"),
    "not-adopted": (403, "only adopted phones get files and may upload"),
    "quarantined": (403, "the asker behaved like an attacker"),
    "too-many-requests": (429, "too many requests"),
    "firmware": (200, "a firmware image"),
    "authority": (200, "the certificate of this appliance's own authority"),
    "unknown-certificate": (
        403,
        "no authority in tls/makers signed its certificate; it is not asked for it again",
    ),
    "location": (200, "a phone asked where it is, or somebody read a location URI"),
    "pnp": (200, "a phone that asked by multicast was told where its files are"),
    "pnp-refused": (403, "a phone that asked by multicast may not be told: adopt it, or open adoption"),
    "no-such-file": (404, "not the name of a phone's file"),
    "not-there": (404, "an optional file that there is none of"),
    "unknown-model": (404, "there is no template for this model"),
    "mac-mismatch": (403, "the agent's MAC is not the one in the file's name"),
    "not-this-makers-file": (403, "phones of this maker ask for no such file"),
    "not-a-phone": (403, "the user agent is not a desk phone's"),
    "other-maker": (403, "the adopted phone with this MAC is of another maker"),
    "upload": (201, "an upload of an adopted phone"),
    "upload-refused": (403, "this file may not be uploaded"),
    "no-such-method": (405, "phones' files can be fetched, and some be put"),
    "too-large": (413, "an upload is too large"),
    "not-readable": (400, "an upload is not what its name says"),
    "quota": (507, "there is no more room for uploads"),
    "no-space": (507, "an upload could not be stored"),
    "bad-request": (400, "the request could not be understood, or took too long"),
    "not-ready": (503, "the inventory has not been read yet"),
}
# What only somebody gets who cannot be the phone with the MAC that is asked for.
_STRANGE = frozenset(
    {
        "proof-required",
        "wrong-credentials",
        "other-neighbour",
        "replayed-path",
        "neighbour-mismatch",
        "other-certificate",
        "mac-mismatch",
        "not-this-makers-file",
        "not-a-phone",
        "other-maker",
    }
)
_NAMES_PEOPLE = frozenset({"common-directory", "phonebook"})
_MAY_BE_FIRST = frozenset({"proof-required", "wrong-credentials", "replayed-path"})


class Verdict(NamedTuple):
    """The answer to one request: a rule of RULES, who asked, and the body when there is one.

    `challenges`: values of WWW-Authenticate, where status is 401.
    """

    rule: str
    identity: Identity
    asked: boot.Asked | None = None
    body: bytes | None = None
    content_type: str = "text/plain"
    challenges: tuple[str, ...] = ()
    made: Rendered | None = None  # what the body was made of, where it is a file of ours

    @property
    def status(self) -> int:
        return RULES[self.rule][0]

    @property
    def words(self) -> bytes:
        """The rule in words, as the body of an answer that has no file."""
        return f"{RULES[self.rule][1]}\n".encode()

    def because(self, rule: str) -> Verdict:
        """The same asker, answered by another rule."""
        return self._replace(rule=rule, body=None, made=None)

    @classmethod
    def unready(cls) -> Verdict:
        """Before an inventory has been read."""
        return cls("not-ready", Identity())


class _Case(NamedTuple):
    """One request, with all that is known of it before a rule is looked for.

    `credential`: of the adopted phone that the asker must be, None where the file and the asker name none.
    """

    renderer: Renderer
    asker: Asker
    who: Identity | Contradiction
    asked: boot.Asked | None
    credential: Credential | None
    proof: Proof

    @property
    def identity(self) -> Identity:
        return self.who.identity if isinstance(self.who, Contradiction) else self.who

    def verdict(self, rule: str) -> Verdict:
        return Verdict(rule, self.identity, self.asked)


class Trust:
    """Judges every request of a phone, and remembers what it must of the askers; never waits.

    `now`: seconds since 1970; `clock`: monotonic seconds; `secret`: 32 bytes of this appliance, for nonces; `tell`
    hears of each new quarantine. `kept`: what an adopted phone has uploaded under a name, None for nothing.
    """

    def __init__(
        self,
        now: Callable[[], float],
        clock: Callable[[], float],
        secret: bytes,
        tell: Callable[[Quarantine], None] = lambda _held: None,
        limits: Limits | None = None,
        kept: Callable[[boot.Asked], bytes | None] = lambda _asked: None,
    ) -> None:
        self._now = now
        self._kept = kept
        self.proofs = Proofs(now, secret)
        self.sources = Sources(clock, tell, limits)

    def judge(self, renderer: Renderer, asker: Asker) -> Verdict:
        """What a GET or HEAD is answered with. Never raises for anything that a peer can send."""
        return self._judge(renderer, asker, self._fetch)

    def judge_upload(self, renderer: Renderer, asker: Asker) -> Verdict:
        """Whether the body of any other method may be kept: only what adopted phones upload, by PUT or POST."""
        return self._judge(renderer, asker, self._upload)

    def _judge(self, renderer: Renderer, asker: Asker, decide: Callable[[_Case], Verdict]) -> Verdict:
        if asker.neighbour and not {asker.neighbour, asker.address}.isdisjoint(
            renderer.snapshot.practice.routers
        ):
            asker = asker._replace(neighbour="")
        case = self._case(renderer, asker)
        source = source_of(asker.address, asker.neighbour)
        if case.proof.by and case.credential:
            held = "" if asker.local else self.sources.phone(case.credential.id)
        else:
            held = self.sources.admit(source, asker.address, asker.local)
        if held:
            return case.verdict(held)
        verdict = decide(case)
        if not case.proof.by:
            self._count(case, verdict.rule, source)
        if verdict.status == 401:
            return verdict._replace(challenges=tuple(self.proofs.challenges(asker)))
        return verdict

    def _case(self, renderer: Renderer, asker: Asker) -> _Case:
        who, asked = identify(asker.path, asker.user_agent), boot.file_asked(asker.path)
        snapshot = renderer.snapshot
        mac = asked.mac if asked and asked.mac else _named(snapshot, asker, who)
        credential = (snapshot.credentials.get(mac) or Credential(id=mac)) if mac in snapshot.phones else None
        proof = self.proofs.of(snapshot.practice, credential, asker) if credential else Proof()
        return _Case(renderer, asker, who, asked, credential, proof)

    def _count(self, case: _Case, rule: str, source: str) -> None:
        """Against sweeps: who asks for many phones' files without being any of them."""
        asker, asked = case.asker, case.asked
        if (
            asked is None
            or not asked.mac
            or asker.neighbour == asked.mac
            or rule in ("first-contact", "upload")
        ):
            return
        strange = rule in _STRANGE or bool(asker.neighbour)
        self.sources.asked(source, asker.address, asked.mac, strange, asker.local)

    def _fetch(self, case: _Case) -> Verdict:
        who, asked = case.who, case.asked
        if isinstance(who, Contradiction):
            return case.verdict(who.rule)
        if asked is None:
            return case.verdict("no-such-file")
        refusal = _refusal(case.renderer, asked, who)
        kept = self._kept(asked) if case.credential and refusal in ("", "not-there") else None
        if refusal and kept is None:
            return case.verdict(refusal)
        rule = self._access(case, asked)
        if RULES[rule][0] != 200:
            return case.verdict(rule)
        made = None if refusal else case.renderer.rendered(asked, who, _has_its_key(case))
        body = made.data if made else kept
        if body is None:
            return case.verdict("not-there")
        if case.credential and asked.mac:
            self.proofs.served(case.credential, case.asker, rule)
        xml = "text/xml" if body.startswith(b"<?xml") else "text/plain"
        return Verdict(rule, who, asked, body, made.skeleton.file.content_type if made else xml, made=made)

    def _access(self, case: _Case, asked: boot.Asked) -> str:
        """The rule by which a file that there is may be had, or not."""
        practice, asker = case.renderer.snapshot.practice, case.asker
        if not asked.mac:
            return self._shared(case)
        if case.credential:
            return self._secrets(case, case.credential)
        if asker.certificate:
            return "waiting" if normal_mac(asker.certificate) == asked.mac else "other-certificate"
        if practice.adoption == "certificate":
            return "certificate-required"
        if asker.neighbour and asker.neighbour != asked.mac:
            return "neighbour-mismatch"
        return "waiting" if window_open(practice, self._now()) else "not-adopted"

    def _secrets(self, case: _Case, credential: Credential) -> str:
        """For the files of an adopted phone."""
        if case.proof.by:
            return case.proof.by
        practice = case.renderer.snapshot.practice
        if case.proof.refusal in _MAY_BE_FIRST and self.proofs.welcome(practice, credential, case.asker):
            return "first-contact"
        return case.proof.refusal

    def _shared(self, case: _Case) -> str:
        """For files without secrets: anybody's while the window is open, else of those that have a phone's own.

        Those that name people are nobody else's, ever.
        """
        practice, asked = case.renderer.snapshot.practice, case.asked
        if asked and asked.kind not in _NAMES_PEOPLE and window_open(practice, self._now()):
            return "shared"
        if case.asker.local and practice.adoption != "certificate":
            return "shared"
        if case.credential:
            rule = self._secrets(case, case.credential)
            return "shared" if RULES[rule][0] == 200 else rule
        if practice.adoption == "certificate":
            return "certificate-required"
        return "shared" if self.proofs.contacts.at(case.asker.address) else "not-adopted"

    def _upload(self, case: _Case) -> Verdict:
        who, asked = case.who, case.asked
        if isinstance(who, Contradiction):
            return case.verdict(who.rule)
        if asked is None:
            return case.verdict("no-such-file")
        if case.asker.method not in _VERBS.get(who.vendor, ("PUT",)):
            return case.verdict("no-such-method")
        rule = "upload" if asked.kind in UPLOADED else "upload-refused"
        if rule == "upload":
            phone = case.renderer.snapshot.phones.get(asked.mac)
            if who.agent == "other":
                rule = "not-a-phone"
            elif phone is None or case.credential is None:
                rule = "not-adopted"
            elif who.vendor != phone.vendor:
                rule = "other-maker"
            elif RULES[refused := self._secrets(case, case.credential)][0] != 200:
                rule = refused
        return case.verdict(rule)


# Kinds of files: logs, changes made on the phone, its directory and its lists of calls. Never a core of its memory.
UPLOADED = frozenset({"upload", "override", "directory", "call-list"})
_VERBS = {boot.YEALINK: ("PUT", "POST")}  # static.auto_provision.custom.upload_method


def _has_its_key(case: _Case) -> bool:
    """Whether the asker has read the phone's own file with the key of encrypted ones: it names this folder."""
    secret = case.credential.path_secret if case.credential else ""
    return holds(case.asker.path, secret) and holds(case.asker.path, "sealed")


def _named(snapshot: Snapshot, asker: Asker, who: Identity | Contradiction) -> str:
    """The MAC that an asker for a file without one names, or has; "" for none."""
    agent = who.identity.mac if isinstance(who, Contradiction) else who.mac
    certificate = normal_mac(asker.certificate) if asker.certificate else ""
    user = parse_credentials(asker.authorization).get("username") if asker.authorization else ""
    for mac in (certificate, agent, user, asker.neighbour):
        if mac and mac in snapshot.phones:
            return mac
    return ""


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
