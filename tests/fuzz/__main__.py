"""Fuzz the SIP side: `python -m tests.fuzz --inputs 1000000`; `tests.fuzz.guided` lets coverage guide it."""

from __future__ import annotations

import argparse
import collections
import random
import resource
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.seeds import mutate
from tests.fuzz.targets import TARGETS, shape

SHARES = {"parse": 30, "stream": 15, "headers": 20, "sdp": 15, "digest": 10, "agent": 10}  # of 100 inputs


class Run:
    """Counts what happened: crashes by their place, and the dearest input of each target."""

    def __init__(self, crashes: Path | None) -> None:
        self.targets = {name: make() for name, make in TARGETS.items()}
        self.inputs: collections.Counter[str] = collections.Counter()
        self.crashes: collections.Counter[str] = collections.Counter()
        self.dearest: dict[str, tuple[int, bytes]] = dict.fromkeys(TARGETS, (0, b""))
        self._folder = crashes

    def one(self, name: str, data: bytes) -> None:
        """Give `data` to a target."""
        target = self.targets[name]
        self.inputs[name] += 1
        try:
            before = time.thread_time_ns()
            target(data)
            cost = time.thread_time_ns() - before
        except Exception as error:
            self._crashed(name, error, data)
            return
        if cost > self.dearest[name][0] and not (name == "agent" and not target.inputs):
            cost = min(
                cost, *(self._again(name, data) for _ in range(3))
            )  # a pause of the machine is no cost
            if cost > self.dearest[name][0]:
                self.dearest[name] = (cost, data)

    def _again(self, name: str, data: bytes) -> int:
        target = TARGETS[name]()
        if name == "agent":
            data = self.targets[name].inputs[-1]
            call = lambda: target.lone.agent.receive(data, target.lone.flow)  # noqa: E731
        else:
            call = lambda: target(data)  # noqa: E731
        before = time.thread_time_ns()
        call()
        return time.thread_time_ns() - before

    def _crashed(self, name: str, error: Exception, data: bytes) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{name}: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno} {error}"[:160]
        self.crashes[place] += 1
        if self._folder and self.crashes[place] == 1:
            inputs = getattr(self.targets[name], "inputs", None) or [data]
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._folder / f"{name}-{len(self.crashes)}"
            file.write_text(repr(list(inputs)) + "\n" + "".join(traceback.format_exception(error)))
        self.targets[name] = TARGETS[name]()


def run(inputs: int, seed: int, seconds: float, only: str, large: float, crashes: Path | None) -> Run:
    """`inputs` mutated messages, in the shares of SHARES; no longer than `seconds`."""
    rng = random.Random(seed)
    names = [only] if only else [name for name, share in SHARES.items() for _ in range(share)]
    state = Run(crashes)
    end = time.monotonic() + seconds
    for number in range(inputs):
        name = rng.choice(names)
        state.one(name, shape(name, mutate(rng, large)))
        if not number & 1023 and time.monotonic() > end:
            break
    return state


def main() -> int:
    """Run and print; 1 when something crashed or cost more than 5 ms."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop earlier")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", default="", choices=["", *TARGETS])
    parser.add_argument("--large", type=float, default=0.002, help="share of messages blown up towards 64 kB")
    parser.add_argument("--crashes", type=Path, help="folder for the inputs that crash")
    parser.add_argument(
        "--atheris", action="store_true", help="guided by coverage; needs the package atheris"
    )
    options = parser.parse_args()
    began = time.monotonic()
    state = run(options.inputs, options.seed, options.seconds, options.target, options.large, options.crashes)
    took = time.monotonic() - began
    total = sum(state.inputs.values())
    print(f"{'target':10} {'inputs':>10} {'dearest':>10} {'of bytes':>9}")
    for name, count in state.inputs.items():
        cost, data = state.dearest[name]
        print(f"{name:10} {count:10} {cost / 1e6:7.2f} ms {len(data):9}")
    for place, count in state.crashes.items():
        print(f"crash x{count}: {place}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    most = max(cost for cost, _ in state.dearest.values()) / 1e6
    print(
        f"{total} inputs, {total / took:.0f}/s, {len(state.crashes)} unique crashes, "
        f"at most {most:.2f} ms an input, {peak:.0f} MiB at most"
    )
    return 1 if state.crashes or most > 5 else 0


if __name__ == "__main__":
    sys.exit(main())
