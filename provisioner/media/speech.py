"""Names spoken by a program of this machine, where one is installed; what it makes is kept in memory only."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from provisioner.errors import OperatorError
from provisioner.media.recordings import converted

# best first; `{file}` is a WAV file to write, `{text}` what to say
PROGRAMS = (
    ("pico2wave", "-l", "en-US", "-w", "{file}", "{text}"),
    ("espeak-ng", "-v", "en-us", "-s", "150", "-w", "{file}", "{text}"),
    ("flite", "-voice", "slt", "-o", "{file}", "-t", "{text}"),
)
SECONDS = 3.0  # a phone has rung longer than that before anybody picks it up
AT_ONCE = 4  # programs; who calls while so many speak is said by digits
LONGEST = 40  # letters of a name

_log = logging.getLogger(__name__)


def sayable(name: str) -> str:
    """A name as a program may be given it: words of letters, nothing that could be an option or markup; "" for none."""
    plain = unicodedata.normalize("NFKC", name)[:LONGEST]
    return " ".join(re.findall(r"[^\W\d_]+(?:['\u2019.-][^\W\d_]+)*", plain))


def program() -> Sequence[str] | None:
    """The command of the best program that is installed, None without any."""
    return next((command for command in PROGRAMS if shutil.which(command[0])), None)


class Speech:
    """Speaks names into clips. `keep` takes a clip's name and its audio (mu-law, 8 kHz)."""

    def __init__(
        self, keep: Callable[[str, bytes], None], folder: Path, command: Sequence[str] | None = None
    ) -> None:
        self._keep = keep
        self._folder = folder  # where the program writes; the file is gone before the clip is there
        self._command = command if command is not None else program()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready: set[str] = set()

    def prepare(self, call: str, name: str) -> None:
        """Begin to speak who calls, in the background."""
        text = sayable(name)
        if self._command and text and call not in self._tasks and len(self._tasks) < AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._speak(call, text))
            self._tasks[call] = task
            task.add_done_callback(lambda _task: self._tasks.pop(call, None))

    def clip(self, call: str) -> str:
        """The name of the clip that says who calls, "" while or when there is none."""
        return f"said-{call}" if call in self._ready else ""

    def forget(self, call: str) -> None:
        """The call is over."""
        self._ready.discard(call)
        if task := self._tasks.get(call):
            task.cancel()

    async def _speak(self, call: str, text: str) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                file = Path(folder, "said.wav")
                await asyncio.wait_for(self._run(file, text), SECONDS)
                audio = await asyncio.to_thread(lambda: converted(file.read_bytes()))
        except (OSError, TimeoutError, OperatorError) as error:
            # the name itself is nobody's business in a log
            _log.warning("a name could not be spoken (%s), digits are said instead", type(error).__name__)
            return
        self._keep(f"said-{call}", audio)
        self._ready.add(call)

    async def _run(self, file: Path, text: str) -> None:
        assert self._command
        words = [part.format(file=file, text=text) for part in self._command]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*words, stdin=quiet, stdout=quiet, stderr=quiet)
        try:
            if await process.wait():
                raise OSError(f"{words[0]} failed")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
