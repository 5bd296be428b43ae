#!/usr/bin/env python3
"""Counts the instructions that a request costs, by callgrind, and holds them within 3 % of benches/instructions.json.

The count does not depend on what else the machine does. Two runs with different numbers of requests are subtracted, so
that start and end cancel out. `--record` writes the counts as the new baseline; `--subject floor` counts the floor.
"""

import argparse
import http.client
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from benching import gateways, load
from benching.processes import Process, free_port

BASELINE = Path("benches/instructions.json")
FENCE = 0.03
FEW, MANY = 200, 1_200

SCENARIOS = {
    "plain": (load.SMALL, {}),
    "routes1000": (load.spread(1_000), {"routes": 1_000}),
    "log": (load.SMALL, {"log": True}),
    "post10k": (load.POST, {}),
}


def send(port, asked, count):
    """So many requests, one after another over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("POST" if asked.post else "GET", asked.path, asked.post)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"{asked.path} is answered {response.status}")


def collected(subject, programs, scenario, count):
    """All instructions of a run that answers so many requests."""
    asked, work = SCENARIOS[scenario]
    with tempfile.TemporaryDirectory(prefix="tollgate-instructions-") as name:
        folder, cpus = Path(name), sorted(os.sched_getaffinity(0))
        origin = free_port()
        task = gateways.Work(origin, folder, **work)
        running = [Process("origin", [programs["origin"], "--listen", f"127.0.0.1:{origin}"], cpus, folder)]
        try:
            running[0].await_port(origin)
            counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
            command = counted + gateways.GATEWAYS[subject](task, programs)
            running.append(Process(subject, command, cpus, folder))
            running[1].await_port(task.port, patience=300)
            send(task.port, asked, count)
        finally:
            for process in reversed(running):
                process.stop(patience=60)
        text = running[1].log.read_text()
        found = re.search(r"Collected : (\d+)", text)
        return int(found[1]) if found else sys.exit(f"callgrind counted nothing:\n{text[-2000:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--subject", choices=["gateway", "floor"], default="gateway")
    chosen = parser.parse_args()
    programs = gateways.programs(Path(os.environ["CARGO_TARGET_DIR"]), Path(os.environ["TOLLGATE_CACHE"]))
    for needed in ("origin", gateways.NEEDS[chosen.subject]):
        if needed not in programs:
            sys.exit(f"{needed} is not built with --release")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    counts, failed = {}, False
    for scenario in SCENARIOS:
        few, many = (collected(chosen.subject, programs, scenario, count) for count in (FEW, MANY))
        counts[scenario] = round((many - few) / (MANY - FEW))
        before = baseline.get(scenario)
        change = f"{counts[scenario] / before - 1:+.1%} to {before}" if before else "no baseline"
        over = not before or counts[scenario] > before * (1 + FENCE)
        failed |= over
        print(f"{scenario:12}{counts[scenario]:>10} instructions a request, {change}{'  over' if over else ''}", flush=True)
    if chosen.record:
        BASELINE.write_text(json.dumps(counts, indent=2) + "\n")
        return 0
    return 1 if failed and chosen.subject == "gateway" else 0


if __name__ == "__main__":
    sys.exit(main())
