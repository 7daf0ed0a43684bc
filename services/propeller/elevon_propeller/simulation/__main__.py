"""Plays many seeds on all cores, or one seed again: `python -m elevon_propeller.simulation --seeds 10000`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from elevon_propeller.simulation.campaign import played
from elevon_propeller.simulation.scene import Outcome, Script, play
from elevon_propeller.simulation.shrinking import shrink
from elevon_propeller.simulation.telling import told


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and report; the exit code is 1 when a rule was broken."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return 0 if again(options.seed, whole=options.whole) else 1
    failing = many(range(options.start, options.start + options.seeds), options.processes)
    if failing:
        print(f"failing seeds: {' '.join(map(str, failing))}")
        again(failing[0])
    return 1 if failing else 0


def many(seeds: range, processes: int) -> list[int]:
    """Play seeds side by side, showing progress; returns those that break a rule."""
    failing: list[int] = []
    began = time.monotonic()
    for count, (seed, violation) in enumerate(played(seeds, processes), 1):
        if violation:
            failing.append(seed)
            print(f"\nseed {seed}: {violation[:400]}")
        if count % 50 == 0 or count == len(seeds):
            speed = count / (time.monotonic() - began)
            end = "\n" if count == len(seeds) else ""
            line = f"\r{count} of {len(seeds)} seeds, {speed:.0f} seeds/s, {len(failing)} failing"
            print(line, end=end, flush=True)
    return failing


def again(seed: int, *, whole: bool = False) -> bool:
    """Play one seed; when it breaks a rule, find the shortest history that still does, and tell it."""
    outcome = play(Script.of_seed(seed))
    if outcome.violation is None:
        faults, seconds = len(outcome.happened), outcome.seconds
        text = f"seed {seed}: all rules hold; {faults} faults in {seconds:.1f} virtual seconds"
        print(text)
        return True
    smallest: Outcome = outcome if whole else shrink(outcome, play)
    script = smallest.script if whole else replace(smallest.script, faults=smallest.happened)
    print(told(play(script, notes=True)))
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds to play")
    parser.add_argument("--from", dest="start", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one, and tell the shortest history that fails")
    parser.add_argument("--whole", action="store_true", help="tell the whole history instead of the shortest")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many play side by side")
    return parser


if __name__ == "__main__":
    sys.exit(main())
