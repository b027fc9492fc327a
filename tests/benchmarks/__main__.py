"""`make bench`: what the operator costs and how fast it reacts, on the embedded API server and on a real one.

    python -m tests.benchmarks [--size quick|medium|full] [--server SERVER]... [--only FAMILY]... [--against FILE]

The third server is the real one with Argo Rollouts in the operator's place, for what both do.

Prints tables, and keeps everything as JSON in `results/`. A run of everything takes about an hour.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.operator import argo, canaries, core, events, idle, machine, reaction, real, startup, sync
from tests.benchmarks.operator.bed import Bed, tell
from tests.benchmarks.operator.figures import Figure, comparison, of_json, table
from tests.benchmarks.operator.real import RealBed
from tests.benchmarks.operator.settings import SIZES, Size

Json = dict[str, Any]
Measure = Callable[[Bed, Size], Awaitable[list[Figure]]]

RESULTS = Path(__file__).parent / "results"
FAMILIES: dict[str, Measure] = {
    "canaries": canaries.measure,
    "idle": idle.measure,
    "events": events.measure,
    "reaction": reaction.measure,
    "startup": startup.measure,
    "sync": sync.measure,
}
SERVERS: dict[str, type[Bed]] = {"embedded": Bed, "real": RealBed, "argo-rollouts": argo.ArgoBed}
MISSING = {"real": real.missing, "argo-rollouts": argo.missing}
PEER = ("canaries", "idle")
"""The families in which the peer does what we do; a start of it waits for its Lease, which it does not give up."""


def main() -> None:
    """Measure, print, keep and compare; ends with 1 where a family could not be measured."""
    arguments = _arguments()
    size = SIZES[arguments.size]
    facts = machine.facts()
    print("## Machine\n\n" + "\n".join(f"- {name}: {value}" for name, value in facts.items()))
    print(f"\n## Pure decisions\n\n{table(core.measure(size))}", flush=True)
    failed: list[str] = []
    for server in arguments.server or SERVERS:
        why = MISSING[server]() if server in MISSING else ""
        if why:
            print(f"\n## {server}: left out\n\n{why}", flush=True)
            continue
        kept = arguments.out / _file(server, arguments.size)
        families = [one for one in arguments.only or FAMILIES if server != "argo-rollouts" or one in PEER]
        measured = {family: _measured(server, family, size, failed) for family in families}
        result = _keep(kept, SERVERS[server].server, facts, {name: one for name, one in measured.items() if one})
        if arguments.against:
            _compare(result, json.loads(arguments.against.read_text()))
    if failed:
        print(f"\nNot measured: {', '.join(failed)}")
    sys.exit(1 if failed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=list(SIZES), default="full", help="quick: only so that everything runs")
    parser.add_argument("--server", action="append", choices=list(SERVERS), help="default: all that are there")
    parser.add_argument("--only", action="append", choices=list(FAMILIES), help="default: all")
    parser.add_argument("--against", type=Path, help="an earlier JSON file, to compare with")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    return parser.parse_args()


def _measured(server: str, family: str, size: Size, failed: list[str]) -> list[Figure]:
    """The figures of one family on a cluster of its own; none where something went wrong, which is told."""
    tell(f"{server}: {family}")
    try:
        found = asyncio.run(_family(SERVERS[server], FAMILIES[family], size))
    except Exception as error:  # noqa: BLE001  an hour of other figures must not be lost
        failed.append(f"{family} on {server}")
        tell("".join(traceback.format_exception(error)))
        return []
    print(f"\n## {server}: {family}\n\n{table(found)}", flush=True)
    return found


async def _family(bed_class: type[Bed], measure: Measure, size: Size) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="coalmine-bench-") as folder:
        async with bed_class(Path(folder)) as bed:
            found = await measure(bed, size)
    # The targets are ours, not a peer's.
    return [replace(one, target=None, peer="") for one in found] if bed_class is argo.ArgoBed else found


def _file(server: str, size: str) -> str:
    return f"operator-{server}.json" if size == "full" else f"operator-{server}-{size}.json"


def _keep(path: Path, server: str, facts: Json, measured: dict[str, list[Figure]]) -> Json:
    """Write what was measured; families that were not keep what an earlier run said of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    families = json.loads(path.read_text())["families"] if path.exists() else {}
    for family, figures in measured.items():
        families[family] = {"machine": facts, "figures": [one.as_json() for one in figures]}
    text = json.dumps({"server": server, "families": families}, indent=1) + "\n"
    path.write_text(text)
    tell(f"kept in {path}")
    return json.loads(text)


def _compare(result: Json, earlier: Json) -> None:
    for family, now in result["families"].items():
        was = earlier["families"].get(family)
        if was is None:
            print(f"\n## {family}: not in the earlier file")
            continue
        speed = now["machine"]["reference_ms"] / was["machine"]["reference_ms"]
        print(f"\n## {family}, against {earlier['server']} before\n")
        print(f"The reference loop takes {speed:.2f} times as long as it did then.\n")
        print(comparison(*([of_json(one) for one in each["figures"]] for each in (now, was))), flush=True)


if __name__ == "__main__":
    main()
