"""Long work of this process: in threads of its own, with its progress, its end, and who began it.

What is told of a job (`DIR/jobs/<id>.json`) outlives the process; the work does not, and is then `broken-off`.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from flask import current_app

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.paths import write_atomically
from provisioner.web.language import later as N_

WORKERS = 3
KEPT = 50  # that have ended, and
KEPT_SECONDS = 7 * 86_400.0  # for so long
JobState = Literal["running", "done", "failed", "cancelled", "broken-off"]

_log = logging.getLogger(__name__)


class Cancelled(ProvisionerError):  # noqa: N818  what somebody wanted is no fault
    """Somebody cancelled this job; raised in its thread, at its next step."""


class Job(msgspec.Struct, kw_only=True):
    """One piece of work. `total`: 0 while it is not known; `what` is being done now, and `error` went wrong, in words.

    `result`: what came of it, by the names of its kind. `stoppable`: it can be cancelled (now).
    """

    id: str
    kind: str
    who: str
    at: float
    state: JobState = "running"
    done: int = 0
    total: int = 0
    what: str = N_("Waits for its turn")
    result: dict[str, Any] = {}
    error: str = ""
    ended: float = 0.0
    stoppable: bool = True

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"


class Progress:
    """What the work tells of itself; made by Jobs."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.cancelled = threading.Event()

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """So much of it is done. Raises Cancelled when it is wanted no more and can still be left."""
        if self.job.stoppable and self.cancelled.is_set():
            raise Cancelled("somebody cancelled it")
        self.job.done, self.job.total = done, total
        self.job.what = what or self.job.what

    def final(self, what: str) -> None:
        """From here on it cannot be cancelled. Raises Cancelled when it was before."""
        self(self.job.done, self.job.total, what)
        self.job.stoppable = False


Work = Callable[[Progress], dict[str, Any]]


class Jobs:
    """All jobs of this appliance's web process. Safe to use from all threads; `now`: seconds since 1970."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._held: dict[str, Job] | None = None
        self._under_way: dict[str, Progress] = {}
        self._ended = threading.Condition(self._lock)
        self._queue: queue.SimpleQueue[tuple[Progress, Work]] = queue.SimpleQueue()
        self._workers = 0

    def begin(self, kind: str, who: str, work: Work, stoppable: bool = True) -> Job:
        """Do `work` in a thread; what it returns (any JSON) is the job's result. Raises OperatorError.

        One of a kind goes at a time.
        """
        with self._lock:
            held = self._read()
            if any(job.open and job.kind == kind for job in held.values()):
                raise OperatorError("that is under way already", "wait until it has ended, or cancel it")
            job = Job(id=secrets.token_hex(8), kind=kind, who=who, at=self._now(), stoppable=stoppable)
            self._write(job)
            held[job.id] = job
            self._under_way[job.id] = progress = Progress(job)
            self._queue.put((progress, work))
            if self._workers < WORKERS:
                self._workers += 1
                threading.Thread(target=self._serve, name=f"job-{self._workers}", daemon=True).start()
        return job

    def get(self, name: str) -> Job | None:
        """One job, None when there is none (any more)."""
        with self._lock:
            return self._read().get(name)

    def all(self) -> list[Job]:
        """All that are known, the newest first."""
        with self._lock:
            return sorted(self._read().values(), key=lambda job: (-job.at, job.id))

    def cancel(self, name: str) -> bool:
        """Ask a job to stop at its next step; False when it has ended, or cannot."""
        with self._lock:
            progress = self._under_way.get(name)
            if progress is None or not progress.job.stoppable:
                return False
            progress.cancelled.set()
            return True

    def wait(self, name: str, seconds: float) -> Job | None:
        """The job, when it has ended or `seconds` have passed."""
        with self._ended:
            self._ended.wait_for(lambda: name not in self._under_way, seconds)
            return self._read().get(name)

    def _serve(self) -> None:
        while True:
            progress, work = self._queue.get()
            job = progress.job
            state, error, result = _done(progress, work)
            with self._ended:
                job.state, job.error, job.result, job.stoppable = state, error, result, False
                job.ended = self._now()
                del self._under_way[job.id]
                with suppress(OperatorError):  # the work is done, whether or not this can be kept
                    self._write(job)
                self._ended.notify_all()

    def _read(self) -> dict[str, Job]:
        """The jobs by id; at the first time those that an earlier process left, and ever those too old go."""
        if self._held is None:
            self._held = {job.id: job for path in sorted(self._folder.glob("*.json")) if (job := _job(path))}
            for job in self._held.values():
                if job.open:
                    job.state, job.ended, job.stoppable = "broken-off", self._now(), False
                    job.error = N_("The appliance was restarted meanwhile; begin again.")
                    with suppress(OperatorError):
                        self._write(job)
        ended = sorted((job for job in self._held.values() if not job.open), key=lambda job: -job.ended)
        for place, job in enumerate(ended):
            if place >= KEPT or self._now() - job.ended > KEPT_SECONDS:
                del self._held[job.id]
                with suppress(OSError):
                    (self._folder / f"{job.id}.json").unlink(missing_ok=True)
        return self._held

    def _write(self, job: Job) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_atomically(self._folder / f"{job.id}.json", msgspec.json.encode(job))
        except OSError as error:
            problem = OperatorError(f"a job cannot be kept ({error.strerror})", "free space on the disk")
            _log.error("%s", problem)
            raise problem from None


def _done(progress: Progress, work: Work) -> tuple[JobState, str, dict[str, Any]]:
    """Do it: how it ended, why if badly, and its result."""
    kind = progress.job.kind
    try:
        progress(0, 0)
        result = work(progress)
        _log.info("job %s is done", kind)
        return "done", "", result
    except Cancelled:
        _log.info("job %s was cancelled", kind)
        return "cancelled", "", {}
    except ProvisionerError as error:
        _log.warning("job %s failed: %s", kind, error)
        return "failed", str(error), {}
    except OSError as error:
        problem = OperatorError(error.strerror or "the disk failed", "free space on the disk, then try again")
        _log.warning("job %s failed: %s", kind, problem)
        return "failed", str(problem), {}
    except Exception:
        _log.exception("job %s failed", kind)
        return "failed", N_("Something went wrong here; the details are in the appliance's log."), {}


def _job(path: Path) -> Job | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (OSError, msgspec.MsgspecError):
        return None


def current() -> Jobs:
    """The jobs of the running app."""
    found = current_app.extensions["provisioner.jobs"]
    assert isinstance(found, Jobs)
    return found
