"""The benchmark of the front runs: what it is put together of is what the process is put together of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "front.py"), "--count", "32"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stderr
    assert [line.split(":")[0] for line in said.stdout.splitlines()] == [
        f"{kind} connection, {at_once} at once" for kind in ("kept", "new") for at_once in (32, 1)
    ]
