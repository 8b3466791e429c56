"""Who may have which file, and by which rule."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import RULES, Trust, Verdict
from tests.phones.samples import ADDRESSES, AGENTS, MODELS, password, renderer, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS
FILES = {POLYCOM: f"/{POLYCOM}-line.cfg", YEALINK: f"/{YEALINK}.cfg", GRANDSTREAM: f"/cfg{GRANDSTREAM}.xml"}
HERE = "127.0.0.1"
T99S = "Yealink SIP-T99S 66.85.0.5 00:15:65:00:01:99"


def trust() -> Trust:
    return Trust(lambda: 1_700_000_000.0, lambda: 1000.0, bytes(32))


def judge(path: str, agent: str, of: Renderer | None = None) -> Verdict:
    """What a program on this host is answered: no proof is asked of it."""
    return trust().judge(of or renderer(), Asker(path, agent, HERE, local=True))


@pytest.mark.parametrize(
    ("path", "agent", "rule"),
    [
        (FILES[POLYCOM], AGENTS[POLYCOM], "adopted"),
        (f"/{POLYCOM}.cfg", AGENTS[POLYCOM], "adopted"),
        (FILES[POLYCOM], "", "adopted"),
        ("/waiting.cfg", AGENTS[POLYCOM], "shared"),
        ("/y000000000066.cfg", AGENTS[YEALINK], "shared"),
        ("/0004f2000199.cfg", AGENTS[POLYCOM], "waiting"),
        ("/0004f2000199.cfg", "", "waiting"),
        ("/cfg000b82000199.xml", AGENTS[GRANDSTREAM].replace("103", "199"), "waiting"),
        ("/0004f2000199-line.cfg", AGENTS[POLYCOM], "not-there"),
        (f"/{POLYCOM}-phone.cfg", AGENTS[POLYCOM], "not-there"),
        (f"/{POLYCOM}-app.log", AGENTS[POLYCOM], "not-there"),
        ("/000000000000.cfg", AGENTS[POLYCOM], "not-there"),
        ("/3111-48450-001.sip.ld", AGENTS[POLYCOM], "not-there"),
        ("/y000000000000.boot", AGENTS[YEALINK], "not-there"),
        ("/cfg000b82000103", AGENTS[GRANDSTREAM], "not-there"),
        ("/gxp2170fw.bin", AGENTS[GRANDSTREAM], "not-there"),
        ("/aabbcc000199.cfg", "", "not-there"),
        ("/001565000199.cfg", T99S, "unknown-model"),
        ("/y000000000999.cfg", T99S, "unknown-model"),
        ("/y000000000999.cfg", "", "unknown-model"),
        (FILES[YEALINK], AGENTS[YEALINK].replace("01:02", "01:03"), "mac-mismatch"),
        (FILES[GRANDSTREAM], AGENTS[GRANDSTREAM].replace("103", "104"), "mac-mismatch"),
        (FILES[GRANDSTREAM], AGENTS[POLYCOM], "not-this-makers-file"),
        (FILES[YEALINK], AGENTS[POLYCOM], "other-maker"),
        (f"/{POLYCOM}.cfg", "Yealink SIP-T46S 66.85.0.5", "other-maker"),
        (FILES[POLYCOM], "curl/7.88.1", "not-a-phone"),
        ("/waiting.cfg", "Mozilla/5.0", "not-a-phone"),
        ("/robots.txt", "Mozilla/5.0", "no-such-file"),
        ("/../inventory.db", AGENTS[POLYCOM], "no-such-file"),
    ],
)
def test_rules(path: str, agent: str, rule: str) -> None:
    verdict = judge(path, agent)
    assert (verdict.rule, verdict.status) == (rule, RULES[rule][0])
    assert (verdict.body is not None) == (verdict.status == 200)
    assert RULES[rule][1].encode() in verdict.words


def test_no_phone_ever_gets_the_secret_of_another() -> None:
    paths = [*FILES.values(), *(f"/{mac}.cfg" for mac in MODELS), *(f"/cfg{mac}.xml" for mac in MODELS)]
    paths += [f"/{mac}-line.cfg" for mac in MODELS]
    for path, (mac, agent) in itertools.product(paths, AGENTS.items()):
        body = judge(path, agent).body or b""
        for other in set(MODELS) - {mac}:
            assert password(other).encode() not in body
            assert f"admin{other}".encode() not in body


def test_each_phone_gets_its_own() -> None:
    for mac, path in FILES.items():
        verdict = judge(path, AGENTS[mac])
        assert verdict.body
        assert password(mac).encode() in verdict.body


def test_an_adopted_phone_whose_model_is_gone() -> None:
    phone = msgspec.structs.replace(snapshot().phones[POLYCOM], model="VVX 9999")
    of = Renderer(msgspec.structs.replace(snapshot(), phones={POLYCOM: phone}), ADDRESSES)
    of.warm()
    assert judge(FILES[POLYCOM], AGENTS[POLYCOM], of).rule == "unknown-model"


@pytest.mark.parametrize(
    ("method", "path", "agent", "rule"),
    [
        ("PUT", f"/{POLYCOM}-app.log", AGENTS[POLYCOM], "upload"),
        ("PUT", f"/logs/{POLYCOM}-boot.log", AGENTS[POLYCOM], "upload"),
        ("PUT", "/0004f2000199-app.log", AGENTS[POLYCOM], "not-adopted"),
        ("PUT", f"/{POLYCOM}-app.log", "curl/7", "not-a-phone"),
        ("PUT", f"/{YEALINK}-app.log", AGENTS[POLYCOM], "other-maker"),
        ("PUT", f"/{POLYCOM}-phone.cfg", AGENTS[POLYCOM], "upload"),
        ("PUT", f"/{POLYCOM}-web.cfg", AGENTS[POLYCOM], "upload"),
        ("PUT", f"/{POLYCOM}-directory.xml", AGENTS[POLYCOM], "upload"),
        ("PUT", f"/{POLYCOM}-core.tar.gz", AGENTS[POLYCOM], "upload-refused"),
        ("PUT", f"/{POLYCOM}.cfg", AGENTS[POLYCOM], "upload-refused"),
        ("PUT", f"/{YEALINK}.cfg", AGENTS[YEALINK].replace("01:02", "01:03"), "mac-mismatch"),
        ("POST", f"/{POLYCOM}-app.log", AGENTS[POLYCOM], "no-such-method"),
        ("POST", f"/{YEALINK}-local.cfg", AGENTS[YEALINK], "upload"),
        ("PUT", f"/../{POLYCOM}-app.log", AGENTS[POLYCOM], "no-such-file"),
        ("PUT", "/etc/passwd", AGENTS[POLYCOM], "no-such-file"),
    ],
)
def test_uploads(method: str, path: str, agent: str, rule: str) -> None:
    asker = Asker(path, agent, HERE, method=method, local=True)
    assert trust().judge_upload(renderer(), asker).rule == rule
