"""`provisioner dial`: the whole table of what is dialled, from the command line."""

import json

import pytest

from provisioner import cli, demo
from provisioner.cli import main
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Line, Phone, Practice
from tests.dialing import corpus

OWN = "+14155550101"
EMERGENCY = ("emergency", "911", OWN)
TEST = ("emergency-test", "933", OWN)
CRISIS = ("crisis", "988", OWN)
NO = ("refused", "", "")

# dialled · from a keypad · from software · in the transfer menu
ROWS = [
    *((code, EMERGENCY, EMERGENCY, NO) for code in ("911", "9911", "1911", "112", "urn:service:sos")),
    ("urn:service:sos.police", EMERGENCY, EMERGENCY, NO),
    *((f"911{stray}", EMERGENCY, NO, NO) for stray in ("1", "12", "123", "1234", "12345", "123456")),
    *((code, TEST, TEST, NO) for code in ("933", "9933", "urn:service:test.sos")),
    *((code, CRISIS, CRISIS, NO) for code in ("988", "9988", "1988")),
    *((code, NO, NO, NO) for code in ("9112345678", "91123456789", "911234567890")),
    ("102", *[("extension", "102", "101")] * 3),
    ("104", NO, NO, NO),
    *((code, *[("service", code, OWN)] * 2, NO) for code in ("211", "311", "411", "511", "711", "811")),
    ("611", NO, NO, NO),
    *(
        (number, *[("outbound", "+12125551234", OWN)] * 3)
        for number in ("2125551234", "12125551234", "+12125551234", "912125551234", "(212) 555-1234")
    ),
    *((number, NO, NO, NO) for number in ("9005551234", "2129761234", "7005551234", "2129111234")),
    ("8765551234", *[("outbound", "+18765551234", OWN)] * 3),
    *(
        (number, *[("outbound", "+525512345678", OWN)] * 3)
        for number in ("011525512345678", "+525512345678", "011 52 55 1234 5678")
    ),
    *((number, NO, NO, NO) for number in ("011442079460000", "+442079460000", "5551234", "", "12", "*97")),
]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def asked(capsys, *arguments):
    assert main(["dial", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.rule("dialled.emergency", "dialled.crisis", "dialled.outbound", "outbound.caller-id")
@pytest.mark.parametrize(("dialled", "keypad", "software", "transfer"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_for_each_origin(capsys, dialled, keypad, software, transfer):
    for origin, expected in (("keypad", keypad), ("software", software), ("transfer", transfer)):
        row = asked(capsys, "--demo", "--origin", origin, dialled)
        assert (row["kind"], row["destination"], row["calling_number"]) == expected
        assert bool(row["reason"]) == (row["kind"] == "refused")


def test_from_another_line(capsys):
    row = asked(capsys, "--demo", "--from", "103", "911")
    assert row == {"kind": "emergency", "destination": "911", "calling_number": "+14155550103", "reason": ""}
    refused = asked(capsys, "--demo", "--from", "103", "--origin", "transfer", "103")
    assert refused["reason"] == "that is this phone's own extension"


@pytest.mark.parametrize(
    ("origin", "kind"), [("keypad", "service"), ("software", "refused"), ("transfer", "refused")]
)
def test_a_feature_code_is_dialled_on_a_phone(capsys, origin, kind):
    row = asked(capsys, "--demo", "--origin", origin, "*72102")
    assert (row["kind"], row["destination"]) == (kind, "*72" if kind == "service" else "")


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        (["911"], "an emergency call to 911, from +14155550101\n"),
        (["876", "555", "1234"], "an outside call to +18765551234, by the core, from +14155550101;"),
        (["5551234"], "refused, 484: the area code is missing\n"),
        (["*78"], "the code *78, obeyed here for extension 101\n"),
    ],
)
def test_in_words(capsys, digits, said):
    assert main(["dial", "--demo", *digits]) == 0
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--demo"], 2, "Missing argument"),
        (["--demo", "--from", "999", "911"], 2, "give --from one of 101, 102, 103"),
        (["--demo", "--origin", "fax", "911"], 2, "'fax' is not one of"),
        (["911"], 1, "there is no practice here"),
    ],
)
def test_wrong_use(capsys, arguments, code, said):
    assert main(["dial", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.rule("dialled.day-limit")
def test_in_a_practice_of_ones_own(capsys, tmp_path):
    (cli.demo_directory()).mkdir(parents=True)
    inventory = Inventory.open(cli.demo_directory() / "inventory.db")
    demo.seed(inventory, "sip:127.0.0.1")
    with inventory.change(who="test") as change:
        practice = demo.snapshot("sip:127.0.0.1").practice
        change.put(
            Practice(id="practice", name="x", main_number=practice.main_number, international_calls_per_day=0)
        )
    inventory.close()
    row = asked(capsys, "8765551234")
    assert (row["kind"], row["reason"]) == ("refused", "calls to other countries are switched off here")


def test_the_demo_in_memory_is_the_demo_on_disk(tmp_path):
    inventory = Inventory.open(tmp_path / "inventory.db")
    demo.seed(inventory, "sip:127.0.0.1")
    stored, made = inventory.snapshot(), demo.snapshot("sip:127.0.0.1")
    inventory.close()
    for kind in ("practice", "locations", "numbers", "phones", "ring_groups", "trunks"):
        assert getattr(stored, kind) == getattr(made, kind)


@pytest.fixture
def practice(tmp_path):
    """A practice with the extensions of the corpus; its directory."""
    root = tmp_path / "practice"
    inventory = Inventory.open(StateDir.create(root).inventory)
    demo.seed(inventory, "sip:127.0.0.1")
    known = inventory.snapshot().extensions()
    with inventory.change("test") as change:
        for extension in corpus.EXTENSIONS[3]:
            if extension not in known:
                line = Line(extension=extension)
                change.put(Phone(id=f"001565000{extension}", vendor="yealink", model="T46S", lines=(line,)))
    inventory.close()
    return root


@pytest.mark.parametrize("origin", ["keypad", "software", "transfer"])
def test_the_whole_corpus(capsys, practice, origin):
    own = corpus.EXTENSIONS[3][0]
    for row in (row for row in corpus.ROWS if row.length == 3):
        said = asked(capsys, "--state", str(practice), "--from", own, "--origin", origin, "--", row.dialled)
        wanted = row.by(origin)
        assert (said["kind"], said["destination"]) == (wanted.kind, wanted.number), row
