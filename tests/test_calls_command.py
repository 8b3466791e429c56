"""`provisioner calls`: the log on the command line."""

import csv
import io
import json

import pytest

from provisioner import cli, demo
from provisioner.cli import main
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Number

AT = 1_774_972_800.0  # 2026-03-31 09:00 in Los Angeles


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = cli.demo_directory()
    folder.mkdir(parents=True)
    inventory = Inventory.open(folder / "inventory.db")
    demo.seed(inventory, "sip:192.0.2.1")
    inventory.close()
    journal = Journal.open(folder / "journal.db")
    for number, desk in enumerate(("101", "102", "103")):
        row = {"id": f"c{number}", "started": AT + number * 3600, "direction": "inbound", "desk": desk}
        row |= {
            "caller": "+12124567890",
            "called": demo.MAIN,
            "outcome": "ended",
            "talk_seconds": 7.4,
            "mos": 4.3,
        }
        journal.write("calls", {**row, "steps": [], "target": ""})
    assert journal.flush()
    journal.close()


def said(capsys, *arguments):
    assert main(["calls", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.rule("log.search")
def test_list(state, capsys):
    lines = said(capsys, "list", "--search", "nurses").splitlines()
    assert lines[0].split() == ["when", "direction", "from", "to", "talked", "ended", "mos"]
    assert lines[1].split() == [
        "2026-03-31",
        "10:00:00",
        "inbound",
        "+12124567890",
        demo.MAIN,
        "7",
        "s",
        "ended",
        "4.3",
    ]
    assert len(lines) == 2


def test_list_as_json(state, capsys):
    assert [row["id"] for row in json.loads(said(capsys, "list", "--json", "--limit", "2"))] == ["c2", "c1"]


@pytest.mark.rule("log.search")
def test_export(state, capsys):
    text = said(capsys, "export", "--since", "2026-03-31T09:30", "--until", "2026-03-31 10:30")
    assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == ["c1"]


def test_nothing_fits(state, capsys):
    assert said(capsys, "list", "--search", "nobody") == "No call fits.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["list", "--since", "soon"], 2, "is no date"),
        (["list", "--state", "empty"], 1, "there is no call log here"),
    ],
)
def test_wrong_use(state, capsys, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    assert main(["calls", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.rule("outbound.dial-through")
def test_dial_through(state, capsys):
    inventory = Inventory.open(cli.demo_directory() / "inventory.db")
    with inventory.change(who="test") as change:
        change.put(Number(id="+14155550190", label="Pool", dial_through=True))
    inventory.close()
    assert main(["dial-through", "list"]) == 0
    assert main(["dial-through", "add", "2065550142", "2124567890", "--seconds", "600"]) == 0
    assert main(["dial-through", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "No dial-through number is handed out."
    assert lines[1] == "+14155550190, from +12065550142 only"
    row = lines[3].split()
    assert (row[1:5], row[-1]) == (["+14155550190", "+12065550142", "+12124567890", demo.MAIN], "yes")
    assert main(["dial-through", "end", row[0]]) == 0
    assert main(["dial-through", "end", row[0]]) == 1
