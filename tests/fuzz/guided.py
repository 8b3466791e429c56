"""The same targets under atheris, which lets coverage guide the mutations: `python -m tests.fuzz.guided parse`.

Arguments behind the target are libFuzzer's, `-runs=100000` for example. Nothing else needs the package atheris.
"""

from __future__ import annotations

import random
import sys


def main(name: str) -> None:
    """Fuzz target `name`; libFuzzer ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("install atheris first: pip install atheris")
    with atheris.instrument_imports(include=["provisioner.sip"]):
        from tests.fuzz.seeds import mutate
        from tests.fuzz.targets import TARGETS, shape

    def bend(data: bytes, most: int, number: int) -> bytes:
        """Half of the mutations know what a message is; the others are libFuzzer's."""
        rng = random.Random(number)
        fresh = shape(name, mutate(rng, 0.0)) if rng.random() < 0.5 else atheris.Mutate(data, most)
        return fresh[:most]

    arguments = [sys.argv[0], "-max_len=4096", "-print_final_stats=1", *sys.argv[2:]]
    atheris.Setup(arguments, TARGETS[name](), custom_mutator=bend)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1])
