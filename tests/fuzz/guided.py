"""The same targets under atheris, which lets coverage guide the mutations. Not needed for anything else."""

from __future__ import annotations

import random
import sys

from tests.fuzz.seeds import mutate
from tests.fuzz.targets import TARGETS, shape


def main(name: str, inputs: int, seed: int) -> int:
    """`inputs` runs of target `name`; ends the process, as libFuzzer does."""
    try:
        import atheris
    except ImportError:
        print("python -m tests.fuzz --atheris: install atheris first (pip install atheris)")
        return 2
    target = TARGETS[name]()

    def bend(data: bytes, most: int, number: int) -> bytes:
        """Half of the mutations know what a message is; the others are libFuzzer's."""
        rng = random.Random(number)
        fresh = shape(name, mutate(rng, 0.0)) if rng.random() < 0.5 else atheris.Mutate(data, most)
        return fresh[:most]

    atheris.instrument_all()
    arguments = [sys.argv[0], f"-runs={inputs}", f"-seed={seed}", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup(arguments, target, custom_mutator=bend)
    atheris.Fuzz()
    return 0
