"""Commands that are calls of the API: each has its help and --json, says what the API says, here and elsewhere."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import api_practice
import click
import pytest
import web_practice as practice
from flask import Flask
from werkzeug.serving import make_server

from provisioner import cli, client, console_keeping
from provisioner.cli_table import GROUPS, ROWS, SINGLES, Row
from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir
from provisioner.store.records import Number
from provisioner.store.tokens import AT_CONSOLE
from provisioner.web import openapi
from provisioner.web.process import make_server as make_waitress

PROCESSES = {"run", "media", "edge", "notifier", "web", "front", "core", "simulate", "training"}
TEXT_ONLY = {  # what prints no table or record: links, files, sentences
    *("version", "sign-in", "export", "phones export", "emergency test", "emergency export"),
    *("providers add", "providers remove", "stop"),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with api_practice.running(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture
def state(app: Flask) -> StateDir:
    found: StateDir = app.extensions["provisioner"].state
    return found


def run(capfdbinary: Any, state: StateDir, *words: str, code: int = 0) -> str:
    assert cli.main([*words, "--state", str(state.root)]) == code
    said = capfdbinary.readouterr()
    return (said.out if code == 0 else said.err).decode()


def asked(app: Flask, path: str) -> Any:
    """What the API answers to who is at the console."""
    return app.test_client().get(client.ROOT + path, environ_overrides={AT_CONSOLE: True}).json


def every() -> Iterator[tuple[str, click.Command]]:
    """All commands with their words."""
    waiting: list[tuple[str, click.Command]] = [("", cli.cli)]
    while waiting:
        words, command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            names = command.list_commands(context)
            waiting += [(f"{words} {name}".strip(), command.get_command(context, name)) for name in names]
        else:
            yield words, command


def test_every_command_has_its_help_and_json() -> None:
    seen = dict(every())
    assert len(seen) > 120
    for words, command in seen.items():
        assert command.help or words in SINGLES, words
        if words.split()[0] in PROCESSES or words in TEXT_ONLY or words in SINGLES:
            continue
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or "--output" in options, words


@pytest.mark.parametrize("words", sorted(SINGLES))
def test_single_commands_have_their_help(capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert cli.main([words, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_the_table_names_calls_that_there_are(app: Flask) -> None:
    there = {(each.method, each.path) for each in openapi.operations(app)}
    assert [row for row in ROWS if (row.method, client.ROOT + row.path) not in there] == []
    assert {row.group for row in ROWS} - {""} == set(GROUPS)
    assert len({(row.group, row.name) for row in ROWS}) == len(ROWS)


def reading() -> list[Row]:
    return [
        row for row in ROWS if row.method == "GET" and "{" not in row.path and not row.path.endswith(".csv")
    ]


@pytest.mark.parametrize("row", reading(), ids=lambda row: f"{row.group} {row.name}")
def test_json_is_the_apis_answer(capfdbinary: Any, app: Flask, state: StateDir, row: Row) -> None:
    words = [each for each in (row.group, row.name) if each]
    said = json.loads(run(capfdbinary, state, *words, "--json"))
    direct = asked(app, row.path)
    assert said.keys() == direct.keys() if isinstance(said, dict) else said == direct
    assert run(capfdbinary, state, *words)  # the table


def test_columns_are_there(app: Flask) -> None:
    from provisioner.output import pick

    for row in reading():
        rows = asked(app, row.path)
        items = rows.get("items") if isinstance(rows, dict) else None
        if items and row.columns:
            missing = {name for name in row.columns if all(pick(each, name) is None for each in items)}
            assert {name.partition(".")[0] for name in missing} <= items[0].keys(), (row, items[0])


def test_a_phones_day(capfdbinary: Any, app: Flask, state: StateDir) -> None:
    mac = "00:15:65:00:01:02"
    assert "location: desk" in run(capfdbinary, state, "phones", "move", mac, "desk")
    assert "group: nurses" in run(capfdbinary, state, "phones", "edit", mac, "--group", "nurses")
    names = run(capfdbinary, state, "phones", "edit", mac, "--names", '{"102": "Dr. Bell"}', "--json")
    assert json.loads(names)["lines"][0]["name"] == "Dr. Bell"
    keys = '[{"position": 2, "function": "blf", "value": "101"}]'
    assert "position: 2" in run(capfdbinary, state, "phones", "keys", mac, keys)
    assert "Dr. Bell" in run(capfdbinary, state, "phones", "list", "--q", "bell")
    assert asked(app, "/audit?limit=1")["items"][0]["who"] == "console"


def test_settings_of_a_layer(capfdbinary: Any, state: StateDir) -> None:
    assert "poll_seconds" not in run(capfdbinary, state, "settings", "get")
    run(capfdbinary, state, "settings", "set", "poll_seconds=3600", "auto_answer=true")
    assert run(capfdbinary, state, "settings", "get", "poll_seconds") == "3600\n"
    run(capfdbinary, state, "settings", "unset", "poll_seconds", "auto_answer")
    assert "does not set" in run(capfdbinary, state, "settings", "get", "poll_seconds", code=2)
    assert "sets nothing" in run(capfdbinary, state, "settings", "set", "colour=red", code=2)
    assert "cannot be" in run(capfdbinary, state, "settings", "set", "poll_seconds=soon", code=2)
    assert "NAME=VALUE" in run(capfdbinary, state, "settings", "set", "poll_seconds", code=2)


def test_secrets_come_from_files(capfdbinary: Any, state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hidden-word\n"))
    made = run(capfdbinary, state, "trunks", "put", "core", "--user", "kim", "--password-file", "-", "--json")
    assert (json.loads(made)["has_password"], "hidden-word" in made) == (True, False)


def test_files_are_written(capfdbinary: Any, state: StateDir, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    assert run(capfdbinary, state, "calls", "export", "--output", str(out)) == ""
    assert run(capfdbinary, state, "calls", "export") == out.read_bytes().decode()
    assert len(out.read_text().splitlines()) == 3


def test_any_call(capfdbinary: Any, state: StateDir, tmp_path: Path) -> None:
    assert '"adoption": "open"' in run(capfdbinary, state, "api", "GET", "/trust")
    body = tmp_path / "body.json"
    body.write_text('{"name": "Labs"}')
    made = json.loads(run(capfdbinary, state, "api", "POST", "/api/v1/phone-groups", f"@{body}", "--json"))
    assert run(capfdbinary, state, "api", "DELETE", f"/phone-groups/{made['id']}") == ""
    assert run(capfdbinary, state, "api", "GET", "/phones.csv").startswith("\ufeffMAC,")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["phones", "show", "nonsense"], 2, "MAC address of a phone"),
        (["phones", "list", "--status", "odd"], 2, "Invalid value for '--status'"),
        (["phones", "move", practice.POLYCOM, "attic"], 1, "attic"),
        (["phones", "edit", practice.POLYCOM, "--names", "{"], 2, "must be JSON"),
        (["extensions", "length", "9"], 1, "Nothing was changed"),
        (["api", "GET", "/nothing"], 2, "There is nothing here"),
        (["calls", "place"], 2, "Missing argument 'EXTENSION'"),
        (["numbers", "add"], 2, "Missing argument '[NUMBERS]...'"),
        (["numbers", "add", "--all"], 2, "No such option '--all'"),
        (["phones", "resync"], 2, "name some, or --all"),
    ],
)
def test_errors_are_one_line(
    capfdbinary: Any, state: StateDir, words: list[str], code: int, line: str
) -> None:
    said = run(capfdbinary, state, *words, code=code)
    assert said.startswith("provisioner: ")
    assert said.count("\n") == 1
    assert line in said


# elsewhere


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_appliance_elsewhere(
    capfdbinary: Any, app: Flask, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(app.extensions["provisioner"].inventory.new_token("api", 600, "viewer") + "\n")
    assert cli.main(["numbers", "list", "--url", url, "--token-file", str(token)]) == 0
    assert "+14155550101" in capfdbinary.readouterr().out.decode()
    monkeypatch.setenv("PROVISIONER_URL", url)
    monkeypatch.setenv("PROVISIONER_TOKEN", token.read_text().strip())
    assert cli.main(["phones", "list", "--limit", "1", "--json"]) == 0
    assert len(json.loads(capfdbinary.readouterr().out)["items"]) == 1
    assert cli.main(["phones", "move", practice.POLYCOM, "desk"]) == 1
    assert "role" in capfdbinary.readouterr().err.decode()
    monkeypatch.setenv("PROVISIONER_TOKEN", "nonsense")
    assert cli.main(["status"]) == 1
    assert "API token" in capfdbinary.readouterr().err.decode()


def test_keeping_elsewhere(
    capfdbinary: Any, app: Flask, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory, file = app.extensions["provisioner"].inventory, tmp_path / "b.zip"
    monkeypatch.setenv("PROVISIONER_URL", url)
    monkeypatch.setenv("PROVISIONER_TOKEN", inventory.new_token("api", 600, "administrator", name="night"))
    monkeypatch.setattr(console_keeping, "LOOK_SECONDS", 0.01)
    assert cli.main(["backup", "--to", str(file), "--json"]) == 0
    made = json.loads(capfdbinary.readouterr().out)
    assert made == {"file": str(file), "bytes": file.stat().st_size, "sealed": False}
    assert "manifest.json" in zipfile.ZipFile(file).namelist()
    assert cli.main(["backup", "--passphrase", "short"]) == 1
    assert "passphrase" in capfdbinary.readouterr().err.decode()
    assert cli.main(["export"]) == 0
    settings = tmp_path / "settings.toml"
    settings.write_bytes(capfdbinary.readouterr().out)
    assert cli.main(["import", str(settings), "--dry-run", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"changes": []}


def test_half_an_answer_is_none(app: Flask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = app.extensions["provisioner"].inventory.new_token("api", 600, "viewer")
    monkeypatch.setattr(client, "MAX_ANSWER", 100)
    with pytest.raises(OperatorError, match="larger than"):
        client.call(client.There(url, token), "GET", "/phones")


def test_people_elsewhere(capfdbinary: Any, app: Flask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = app.extensions["provisioner"].inventory
    monkeypatch.setenv("PROVISIONER_URL", url)
    monkeypatch.setenv("PROVISIONER_TOKEN", inventory.new_token("api", 600, "administrator", name="far"))
    monkeypatch.setattr("sys.stdin", io.StringIO("window onion tractor\n"))
    assert cli.main(["users", "add", "zoe", "--role", "operator", "--stdin", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["login"] == "zoe"
    assert cli.main(["audit", "--kind", "user", "--id", "zoe", "--json"]) == 0
    assert [row["who"] for row in json.loads(capfdbinary.readouterr().out)] == ["token far"]
    assert cli.main(["tokens", "list", "--json"]) == 0
    assert "far" in [row["name"] for row in json.loads(capfdbinary.readouterr().out)]
    assert cli.main(["users", "remove", "zoe"]) == 0


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (["--url", "http://192.0.2.1"], 2, "everybody on the way would read the token"),
        (["--url", "nonsense"], 2, "no address of an appliance"),
        (["--url", "http://127.0.0.1:1"], 1, "does not answer"),
    ],
)
def test_addresses_that_are_none(
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROVISIONER_TOKEN", "x")
    assert cli.main(["status", *options]) == code
    assert line in capsys.readouterr().err


def test_without_a_token_it_asks_for_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVISIONER_TOKEN", raising=False)
    assert cli.main(["status", "--url", "https://127.0.0.1:1"]) == 2
    assert "PROVISIONER_TOKEN" in capsys.readouterr().err


def test_an_authority_that_is_none(tmp_path: Path) -> None:
    junk = tmp_path / "ca.pem"
    junk.write_text("junk")
    with pytest.raises(UsageError, match="no certificate in PEM"):
        client.There("https://127.0.0.1:1", "x", junk)


def test_who_answers_is_no_appliance() -> None:
    class Odd:
        def send(self, *_asked: Any) -> client.Answer:
            return client.Answer(502, "text/html", b"<html>")

    with pytest.raises(OperatorError, match="the answer was 502"):
        client.call(Odd(), "GET", "/status")
    with pytest.raises(OperatorError, match="none of the API's"):
        client.Answer(200, "text/html", b"<html>").json()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"220 mail.example ESMTP\r\n", "does not answer"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "the answer was 302"),
    ],
    ids=["mail", "redirect"],
)
def test_who_answers_once_is_no_appliance(said: bytes, told: str) -> None:
    """The token goes nowhere but where the user said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        there = client.There(f"http://127.0.0.1:{listening.getsockname()[1]}", "x")
        with pytest.raises(OperatorError, match=told):
            client.call(there, "GET", "/status")
        thread.join(5)
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_no_request_is_the_console(app: Flask) -> None:
    headers = {"provisioner.console": "1", "Provisioner-Console": "1"}
    assert app.test_client().get("/api/v1/status", headers=headers).status_code == 401


@pytest.mark.rule("log.search")
def test_calls_are_found(capfdbinary: Any, state: StateDir) -> None:
    found = json.loads(run(capfdbinary, state, "calls", "list", "--q", "front desk", "--json"))["items"]
    assert [row["id"] for row in found] == ["p2", "p1"]
    assert run(capfdbinary, state, "calls", "list", "--q", "nobody") == "There is none.\n"
    assert "must be a date" in run(capfdbinary, state, "calls", "list", "--since", "soon", code=2)
    lines = run(capfdbinary, state, "calls", "export", "--since", "2026-09-21T06:20").splitlines()
    assert len(lines) == 2


@pytest.mark.rule("outbound.dial-through")
def test_a_number_is_handed_out_and_ended(capfdbinary: Any, app: Flask, state: StateDir) -> None:
    with app.extensions["provisioner"].inventory.change("test") as change:
        change.put(Number(id="+14155550190", label="Pool", dial_through=True))
    wanted = ["+12065550142", "+12124567890", "--seconds", "600"]
    made = json.loads(run(capfdbinary, state, "dial-through", "add", *wanted, "--json"))
    assert (made["number"], made["phone"]) == ("+14155550190", "+12065550142")
    assert made["id"] in run(capfdbinary, state, "dial-through", "list")
    assert run(capfdbinary, state, "dial-through", "end", made["id"]) == "Done.\n"
    assert "no such" in run(capfdbinary, state, "dial-through", "end", made["id"], code=2).lower()


@pytest.fixture
def web(app: Flask, state: StateDir) -> Iterator[None]:
    """The web process listens, as on an appliance that runs."""
    server = make_waitress(app, state)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield
    server.trigger.pull_trigger(server.close)
    thread.join(10)
    (state.run / "web.http").unlink()


def test_the_web_process_makes_the_call_where_it_runs(
    capfdbinary: Any, app: Flask, state: StateDir, web: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.Here, "_inside", lambda *_asked: pytest.fail("the web process runs"))
    assert "location: lab" in run(capfdbinary, state, "phones", "move", practice.YEALINK, "lab")
    assert asked(app, "/audit?limit=1")["items"][0]["who"] == "console"
    assert app.extensions["provisioner"].inventory.tokens.listing("api") == []
