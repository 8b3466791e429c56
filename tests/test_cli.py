"""The command line: every error is one line, every process gets what it was given."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner import __version__, cli, launch
from provisioner.cli import main
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.web import sources


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(cli.logs, "set_up", lambda *_given, **_named: None)


def refused(capsys, *arguments):
    """(exit code, the line on standard error)"""
    code = main(arguments)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return code, line


def test_version(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_without_a_command_it_lists_them(capsys):
    assert main([]) == 2
    assert "Usage: provisioner" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["run", "--nonsense"], 2, "No such option"),
        (["run", "--sip-port", "70000"], 2, "70000 is not in the range"),
        (["run"], 2, "--state DIR"),
        (["media"], 2, "--state DIR"),
        (["run", "--demo", "--core", "core.example"], 2, "give --core as sip:HOST:PORT"),
        (["run", "--state", "/dev/null/x"], 1, "cannot use the state directory"),
        (["phones", "adopt"], 2, "Missing argument 'MAC'"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, code, said):
    found, line = refused(capsys, *arguments)
    assert found == code
    assert line.startswith("provisioner: ")
    assert said in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperatorError("it broke", "mend it"), "provisioner: it broke: mend it"),
        (PermissionError(13, "Permission denied", "x"), "rights"),
        (ZeroDivisionError("secret"), "a fault in the program (ZeroDivisionError at test_cli.py"),
    ],
)
def test_whatever_happens_is_one_line(capsys, monkeypatch, error, said):
    def run(*_):
        raise error

    monkeypatch.setattr(launch, "run", run)
    code, line = refused(capsys, "run", "--demo")
    assert code == 1
    assert said in line
    assert "secret" not in line


def test_an_interrupt_is_an_end_like_any_other(capsys, monkeypatch):
    def run(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run", run)
    assert main(["run", "--demo"]) == 1
    assert capsys.readouterr().err.split("\n") == [
        "",
        "provisioner: interrupted",
        "",
    ]


@pytest.fixture
def options(monkeypatch):
    kept = []
    monkeypatch.setattr(launch, "run", lambda given, _pid, _rng: kept.append(given))
    return kept


def test_the_demo_needs_no_options(options, tmp_path):
    assert main(["run", "--demo"]) == 0
    state = StateDir(tmp_path / "provisioner" / "demo")
    assert options == [launch.Options(state, demo=True, bind="127.0.0.1")]


def test_without_a_state_home_it_is_the_users_own(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")
    assert cli.demo_directory() == Path.home() / ".local" / "state" / "provisioner" / "demo"


def test_every_option_of_run(options, tmp_path):
    given = (
        "--bind 192.0.2.1 --http-port 1 --https-port 2 --sip-port 3 --tftp-port 0 --ready-file r --no-life"
    )
    assert (
        main(["run", "--state", str(tmp_path), "--core", "sip:c", "--log-format", "json", *given.split()])
        == 0
    )
    ports = {"http": 1, "https": 2, "sip": 3, "tftp": 0}
    expected = launch.Options(
        StateDir(tmp_path), False, "192.0.2.1", ports, Path("r"), core="sip:c", life=False, log="json"
    )
    assert options == [expected]


def test_the_environment_sets_what_flags_do_not(options, tmp_path, monkeypatch):
    monkeypatch.setenv("PROVISIONER_STATE", str(tmp_path))
    monkeypatch.setenv("PROVISIONER_HTTP_PORT", "81")
    monkeypatch.setenv("PROVISIONER_BIND", "192.0.2.1")
    assert main(["run", "--http-port", "82"]) == 0
    assert main(["run"]) == 0
    assert [(each.ports, each.bind) for each in options] == [
        ({"http": 82}, "192.0.2.1"),
        ({"http": 81}, "192.0.2.1"),
    ]


STATE = "STATE"
PROCESSES = [
    ("media", [], (STATE,), {}),
    ("web", [], (STATE,), {}),
    ("edge", ["--bind", "b", "--sip-port", "1", "--sips-port", "2"], (STATE, "b", 1, 2), {}),
    (
        "front",
        [
            *[
                "--bind",
                "b",
                "--http-port",
                "1",
                "--https-port",
                "2",
                "--legacy-https-port",
                "5",
                "--tftp-port",
                "3",
                "--sip-host",
                "h",
                "--sip-port",
                "4",
            ]
        ],
        (STATE,),
        {
            "bind": "b",
            "http_port": 1,
            "https_port": 2,
            "legacy_https_port": 5,
            "tftp_port": 3,
            "sip_host": "h",
            "sip_port": 4,
        },
    ),
    (
        "core",
        ["--bind", "b", "--sip-port", "1", "--edge-sip", "e:2", "--life", "--menus"],
        (STATE,),
        {"bind": "b", "sip_port": 1, "edge_sip": "e:2", "life": True, "menus": True},
    ),
]


@pytest.mark.parametrize(
    ("name", "arguments", "positional", "named"), PROCESSES, ids=[row[0] for row in PROCESSES]
)
def test_each_process_gets_what_it_was_given(monkeypatch, tmp_path, name, arguments, positional, named):
    given = []
    module = importlib.import_module(f"provisioner.{name}.process")
    monkeypatch.setattr(module, "main", lambda *some, **more: given.append((some, more)))
    assert main([name, "--state", str(tmp_path), *arguments]) == 0
    expected = tuple(StateDir(tmp_path) if each == STATE else each for each in positional)
    assert given == [(expected, named)]


def test_simulated_phones_need_no_state(monkeypatch):
    given = []
    monkeypatch.setattr("provisioner.simulate.process.main", lambda **what: given.append(what))
    assert (
        main(["simulate", "--server", "http://127.0.0.1", "--mac", "m", "--vendor", "v", "--do", "wait 1"])
        == 0
    )
    what = {"mac": "m", "vendor": "v", "model": "", "do": "wait 1", "life": False, "bind": "127.0.0.1"}
    assert given == [{"server": "http://127.0.0.1", **what}]


def test_a_fleet_gets_what_it_was_given_and_tells_its_end(monkeypatch):
    given = []
    monkeypatch.setattr("provisioner.simulate.fleet.main", lambda **how: given.append(how) or 1)
    arguments = [
        "--server",
        "http://127.0.0.1",
        "--count",
        "5",
        "--mix",
        "yealink=2",
        "--no-register",
        "--json",
    ]
    assert main(["simulate", "fleet", *arguments, "--wait", "3"]) == 1
    assert given == [
        {
            "server": "http://127.0.0.1", "count": 5, "mix": "yealink=2", "phones": None, "register": False,
            "wait": 3.0, "at_once": 50, "ca": None, "pnp": False, "bind": "127.0.0.1", "as_json": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["simulate"], ["simulate", "fleet"]])
def test_simulated_phones_want_a_server(capsys, arguments, tmp_path):
    assert main([*arguments, "--state", str(tmp_path)]) == 2
    assert "--server http" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["process", "simulate"], ["fleet", "simulate", "fleet"]])
def test_simulated_phones_take_the_appliance_that_runs(monkeypatch, arguments, tmp_path):
    module, *command = arguments
    given, asked = [], []
    monkeypatch.setattr(
        f"provisioner.simulate.{module}.main", lambda **what: given.append(what["server"]) or 0
    )
    monkeypatch.setattr(
        "provisioner.ipc.ask", lambda *call: asked.append(call) or {"phones": "http://192.0.2.1:8080"}
    )
    assert main([*command, "--state", str(tmp_path)]) == 0
    assert asked == [(tmp_path / "run" / "front.sock", "status")]
    assert given == ["http://192.0.2.1:8080"]


def test_the_command_alone_imports_nothing_heavy():
    heavy = {"flask", "lxml", "sqlite_utils", "phonenumbers", "cryptography", "httptools", "psutil"}
    code = f"import sys; from provisioner import cli; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.fixture
def state(tmp_path):
    """A state directory with the demo practice, and two phones that asked."""
    from provisioner import demo

    found = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(found.inventory)
    demo.seed(inventory, "sip:127.0.0.1:5070")
    inventory.close()
    journal = Journal.open(found.journal)
    for mac, vendor, model in (("001565000109", "yealink", "T46S"), ("001565000102", "yealink", "T46S")):
        journal.write("sightings", {"mac": mac, "vendor": vendor, "model": model, "last_seen": 1.0})
    journal.write("sightings", {"mac": "020000000001", "vendor": "", "model": "", "last_seen": 0.5})
    journal.close()
    return found


def listed(capsys, state):
    assert main(["phones", "list", "--json", "--state", str(state.root)]) == 0
    return json.loads(capsys.readouterr().out)["items"]


def test_phones_are_listed_waiting_ones_first(capsys, state):
    rows = [(row["mac"], row["adopted"]) for row in listed(capsys, state)]
    assert rows == [
        ("001565000109", False),
        ("020000000001", False),
        ("0004f2000101", True),
        ("001565000102", True),
        ("000b82000103", True),
    ]


def test_the_table_says_the_same(capsys, state):
    assert main(["phones", "list", "--state", str(state.root)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "mac",
        "status",
        "vendor",
        "model",
        "extension",
        "name",
        "location",
        "name",
        "version",
    ]
    assert re.split(r"\s{2,}", rows[2])[:5] == ["0004f2000101", "unknown", "polycom", "VVX 411", "101"]
    assert len(rows) == 5


@pytest.mark.parametrize("command", [["explain"], ["files"]])
def test_what_a_phone_gets_is_the_fronts_to_say(capsys, state, command):
    code, line = refused(capsys, "phones", *command, "001565000102", "--state", str(state.root))
    assert code == 1
    assert "the front process does not answer" in line


def test_an_empty_list_says_so(capsys, tmp_path):
    assert main(["phones", "list", "--state", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out == "There is none.\n"


def test_a_waiting_phone_is_adopted(capsys, state):
    assert main(["phones", "adopt", "00:15:65:00:01:09", "--state", str(state.root)]) == 0
    assert "extension: 100, number: +14155550104" in capsys.readouterr().out
    assert [row["adopted"] for row in listed(capsys, state)].count(True) == 4


def test_with_the_extension_that_was_asked_for(capsys, state):
    wanted = ["--extension", "115", "--json", "--state", str(state.root)]
    assert main(["phones", "adopt", "001565000109", *wanted]) == 0
    assert json.loads(capsys.readouterr().out)["lines"][0]["extension"] == "115"


@pytest.mark.parametrize(
    ("mac", "code", "why"),
    [
        ("001565000777", 1, "has not asked for its files yet"),
        ("020000000001", 1, "has not said which model it is"),
        ("nonsense", 2, "MAC address of a phone"),
    ],
)
def test_a_phone_that_never_asked_cannot_be_adopted(capsys, state, mac, code, why):
    found, line = refused(capsys, "phones", "adopt", mac, "--state", str(state.root))
    assert (found, why in line) == (code, True), line


def test_an_extension_that_cannot_be_is_told(capsys, state):
    wanted = ["--extension", "911", "--state", str(state.root)]
    code, line = refused(capsys, "phones", "adopt", "001565000109", *wanted)
    assert (code, "911" in line, "choose another" in line) == (1, True, True)


def test_edge_and_front_are_told_of_an_adoption(state, monkeypatch):
    told = []
    ask = lambda path, call, *_args, **_named: told.append((path.name, call))  # noqa: E731
    monkeypatch.setattr(sources, "ask", ask)
    assert main(["phones", "adopt", "001565000109", "--state", str(state.root)]) == 0
    assert told == [("edge.sock", "reload"), ("front.sock", "reload")]
