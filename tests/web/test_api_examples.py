"""The examples of docs/staff/api.md are run: curl against the application, and the commands beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import api_practice
import pytest
from flask import Flask
from werkzeug.serving import make_server

from provisioner import cli

PAGE = Path(__file__).parents[2] / "docs/staff/api.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
CURL = [block for block in BLOCKS if "curl" in block]
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("provisioner ")]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with api_practice.running(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(scope="module")
def surroundings(app: Flask) -> Iterator[dict[str, str]]:
    """URL and TOKEN of the running application."""
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    token = app.extensions["provisioner"].inventory.new_token("api", 600, "administrator")
    yield {**os.environ, "URL": f"http://127.0.0.1:{server.server_port}", "TOKEN": token}
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.peer("curl")
@pytest.mark.parametrize("block", CURL, ids=lambda block: block.rpartition("/api/v1/")[2].partition('"')[0])
def test_curl(block: str, surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-euc", block], env=surroundings, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert isinstance(json.JSONDecoder().raw_decode(done.stdout.decode())[0], dict)


@pytest.mark.peer("curl")
def test_what_they_did(app: Flask, surroundings: dict[str, str]) -> None:
    for block in CURL:
        subprocess.run(["sh", "-euc", block], env=surroundings, capture_output=True, check=False, timeout=30)
    snapshot = app.extensions["provisioner"].snapshot()
    assert snapshot.phones["001565000102"].location == "desk"
    assert snapshot.held_extensions["160"].name == "the new nurse"
    assert "001565000103" not in snapshot.phones


@pytest.mark.parametrize("line", [line for line in COMMANDS if "--ca" not in line])
def test_commands(line: str, app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(app.extensions["provisioner"].state.root)
    assert cli.main([*line.split()[1:], "--state", root]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_all_of_it_is_there() -> None:
    assert (len(CURL), len(COMMANDS)) == (5, 8)
