"""Ports, the table of processes, the ready file, and what a broken inventory means at a start."""

import json
import os
import random
import socket
import stat
from contextlib import closing

import pytest

from provisioner import launch
from provisioner.errors import OperatorError
from provisioner.launch import Options
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Practice, Trunk

FREE = {"http": 0, "https": 0, "sip": 0, "sips": 0, "tftp": 0}
NUMBERS = {"http": 8080, "https": 8443, "sip": 5060, "sips": 5061, "tftp": 6969, "core": 5070}


@pytest.fixture
def state(tmp_path):
    return StateDir.create(tmp_path / "state")


@pytest.fixture
def rng():
    return random.Random(1)


@pytest.fixture
def taken():
    """A UDP port that somebody has."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_free_ports_are_distinct_and_below_the_kernels_own(state, rng):
    ports = launch.choose_ports(Options(state, demo=True, ports=FREE), rng)
    assert set(ports) == {"http", "https", "sip", "sips", "tftp", "core"}
    assert len(set(ports.values())) == 6
    assert max(ports.values()) < int(launch._EPHEMERAL.read_text().split()[0])


class Repeats(random.Random):
    """Draws the same ports each time."""

    def sample(self, population, k, *, counts=None):
        return list(population)[:k]


def test_two_of_our_own_never_draw_the_same_port(state):
    ports = launch.choose_ports(Options(state, demo=True, ports=FREE | {"https": 10_001}), Repeats())
    assert len(set(ports.values())) == 6
    assert ports["https"] == 10_001


def test_no_core_of_our_own_no_port_for_it(state, rng):
    ports = launch.choose_ports(Options(state, demo=True, ports=FREE, core="sip:core.example"), rng)
    assert set(ports) == {"http", "https", "sip", "sips", "tftp"}


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(state, rng, taken):
    options = Options(state, demo=True, ports={**FREE, "sip": taken})
    with pytest.raises(
        OperatorError, match=rf"port {taken} on 127\.0\.0\.1 .*choose another with --sip-port"
    ):
        launch.choose_ports(options, rng)


def test_a_default_of_the_demo_that_is_taken_gives_way(state, rng, taken, monkeypatch, capsys):
    monkeypatch.setitem(launch.PORTS, "tftp", launch.Port((socket.SOCK_DGRAM,), taken, 69))
    ports = launch.choose_ports(
        Options(state, demo=True, ports={"http": 0, "https": 0, "sip": 0, "sips": 0}), rng
    )
    assert ports["tftp"] != taken
    assert capsys.readouterr().out == f"Port {taken} is taken; tftp is at port {ports['tftp']}.\n"


def test_a_default_of_production_that_is_taken_is_an_error(state, rng, taken, monkeypatch):
    monkeypatch.setitem(launch.PORTS, "tftp", launch.Port((socket.SOCK_DGRAM,), 6969, taken))
    with pytest.raises(OperatorError, match="--tftp-port"):
        launch.choose_ports(Options(state, ports={"http": 0, "https": 0, "sip": 0, "sips": 0}), rng)


def test_an_address_that_is_not_ours_is_told(state, rng):
    with pytest.raises(OperatorError, match=r"no free port on 192\.0\.2\.1"):
        launch.choose_ports(Options(state, bind="192.0.2.1", ports=FREE), rng)


def table(options, required=True):
    return {child.name: child for child in launch.processes(options, NUMBERS, required)}


def test_the_demo_has_a_core_and_life(state):
    children = table(Options(state, demo=True))
    assert list(children) == ["media", "edge", "notifier", "web", "front", "core", "simulate"]
    assert "--life" in children["core"].command
    assert [name for name, child in children.items() if not child.required] == ["notifier", "simulate"]


def test_without_life_nobody_calls(state):
    children = table(Options(state, demo=True, life=False))
    assert "simulate" not in children
    assert "--life" not in children["core"].command


def test_with_another_core_there_is_none_of_our_own(state):
    assert "core" not in table(Options(state, demo=True, core="sip:core.example"))
    assert list(table(Options(state))) == ["media", "edge", "notifier", "web", "front"]


def test_each_process_shows_its_name_and_where_it_listens(state):
    children = table(Options(state, bind="0.0.0.0", log="json"))
    for name, child in children.items():
        assert child.command[1:6] == ("-m", "provisioner", name, "--log-format", "json")
    assert children["edge"].command[-6:] == (
        *("--bind", "0.0.0.0", "--sip-port", "5060"),
        *("--sips-port", "5061"),
    )
    front = children["front"].command
    assert {"--http-port=8080", "--https-port=8443", "--tftp-port=6969"} < set(front)
    assert front[front.index("--sip-host") + 1] == launch.local_addresses()[0]


def test_with_a_broken_inventory_only_calls_are_required(state):
    children = table(Options(state), required=False)
    assert [name for name, child in children.items() if child.required] == ["media", "edge"]


def test_the_first_start_makes_a_practice(state):
    inventory = launch.prepare(Options(state), NUMBERS)
    assert inventory.get(Practice, "practice")[0].main_number == ""
    assert inventory.all(Trunk) == []
    inventory.close()


def test_a_core_named_on_the_command_line_is_the_trunk(state):
    inventory = launch.prepare(Options(state, core="sip:core.example"), NUMBERS)
    assert inventory.all(Trunk) == [Trunk(id="core", uri="sip:core.example")]
    inventory.close()


def test_the_demos_trunk_goes_to_its_own_core(state):
    inventory = launch.prepare(Options(state, demo=True), NUMBERS)
    assert inventory.all(Trunk) == [Trunk(id="core", uri="sip:127.0.0.1:5070", profile="stand-in")]
    inventory.close()


def test_a_broken_inventory_is_an_error_at_the_first_start(state):
    state.inventory.write_bytes(b"garbage, " * 1000)
    with pytest.raises(OperatorError, match="is not a database"):
        launch.prepare(Options(state), NUMBERS)


def test_with_a_good_snapshot_a_broken_inventory_does_not_stop_calls(state, caplog):
    state.inventory.write_bytes(b"garbage, " * 1000)
    state.snapshot.write_text("{}")
    assert launch.prepare(Options(state), NUMBERS) is None
    assert "calls go on with the last good copy" in caplog.text


def ready(options, inventory):
    launch.announce(options, NUMBERS, inventory, pid=7)
    return json.loads(options.ready_file.read_text())


def test_the_ready_file_says_where_everything_is(state, tmp_path, capsys):
    options = Options(state, demo=True, ready_file=tmp_path / "ready.json")
    inventory = Inventory.open(state.inventory)
    told = ready(options, inventory)
    token = told["staff_url"].removeprefix("http://127.0.0.1:8080/staff/sign-in/")
    assert inventory.check_token("sign-in", token) == "administrator"
    assert inventory.check_token("api", told["api_token"]) == "administrator"
    assert told | {"staff_url": "", "api_token": ""} == {
        "http": "http://127.0.0.1:8080",
        "https": "https://127.0.0.1:8443",
        "sip": "127.0.0.1:5060",
        "sips": "127.0.0.1:5061",
        "tftp": "127.0.0.1:6969",
        "legacy_https": None,
        "core": {"sip": "127.0.0.1:5070", "control": str(state.socket("core"))},
        "staff_url": "",
        "api_token": "",
        "pid": 7,
    }
    assert stat.S_IMODE(options.ready_file.stat().st_mode) == 0o600
    said = capsys.readouterr().out
    assert told["staff_url"] in said
    assert len(said.splitlines()) <= 5
    inventory.close()


def test_an_appliance_without_a_screen_is_reached_from_another_computer(state, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(launch, "local_addresses", lambda: ["192.0.2.7"])
    options = Options(state, bind="0.0.0.0", ready_file=tmp_path / "ready.json")
    inventory = Inventory.open(state.inventory)
    told = ready(options, inventory)
    said = capsys.readouterr().out
    assert told["staff_url"].replace("http://127.0.0.1:8080", "https://192.0.2.7:8443") in said
    inventory.close()


def test_the_port_for_old_phones_is_closed_unless_it_is_named(state):
    rng = random.Random(1)
    closed = launch.choose_ports(Options(state, demo=True, ports=dict.fromkeys(launch.PORTS, 0)), rng)
    assert "legacy-https" not in closed
    assert not any(
        "legacy" in word for child in launch.processes(Options(state), closed) for word in child.command
    )
    named = {**dict.fromkeys(launch.PORTS, 0), "legacy-https": 0}
    opened = launch.choose_ports(Options(state, demo=True, ports=named), rng)
    front = next(child for child in launch.processes(Options(state), opened) if child.name == "front")
    assert f"--legacy-https-port={opened['legacy-https']}" in front.command


def test_the_command_is_named_as_it_can_be_called_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch.sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert launch._command() == "provisioner"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "provisioner").touch()
    assert launch._command() == ".venv/bin/provisioner"


def test_without_an_inventory_there_is_no_way_in(state, tmp_path):
    told = ready(Options(state, ready_file=tmp_path / "ready.json"), None)
    assert (told["staff_url"], told["api_token"], told["core"]) == (None, None, None)


def test_a_ready_file_that_cannot_be_written_is_told(state, tmp_path):
    with pytest.raises(OperatorError, match="name another with --ready-file"):
        ready(Options(state, ready_file=tmp_path / "none" / "ready.json"), None)


def test_a_port_that_was_lost_in_between_is_chosen_again(state, monkeypatch, taken, caplog):
    rounds = []

    async def lose_it(_supervisor, _on_ready):
        if not rounds:
            rounds.append("lost")
            raise launch.NotStartedError("edge does not start", "mend what its line above says")
        rounds.append("run")

    ports = iter([{**NUMBERS, "sip": taken}, NUMBERS])
    monkeypatch.setattr(launch, "choose_ports", lambda _options, _rng: next(ports))
    monkeypatch.setattr(launch.Supervisor, "run", lose_it)
    launch.run(Options(state, demo=True), 7, random.Random(1))
    assert rounds == ["lost", "run"]
    assert "another program took a port" in caplog.text


def test_a_process_that_fails_for_another_reason_ends_the_start(state, monkeypatch, rng):
    async def fail(_supervisor, _on_ready):
        raise launch.NotStartedError("edge does not start", "mend what its line above says")

    monkeypatch.setattr(launch.Supervisor, "run", fail)
    with pytest.raises(launch.NotStartedError, match="edge does not start"):
        launch.run(Options(state, demo=True, ports=FREE), 7, rng)


def test_a_ready_file_that_is_no_file_is_left_alone(state, tmp_path, rng):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OperatorError, match="name another with --ready-file"):
        launch.run(Options(state, demo=True, ports=FREE, ready_file=tmp_path / "pipe"), 7, rng)
    assert (tmp_path / "pipe").is_fifo()


def test_an_old_ready_file_does_not_survive_a_start(state, tmp_path, monkeypatch, rng):
    file = tmp_path / "ready.json"
    file.write_text("{}")
    seen = []

    async def look(_supervisor, _on_ready):
        seen.append(file.exists())
        file.write_text("{}")

    monkeypatch.setattr(launch.Supervisor, "run", look)
    launch.run(Options(state, demo=True, ports=FREE, ready_file=file), 7, rng)
    assert seen == [False]
    assert not file.exists()
