#!/usr/bin/env python3
"""Counts the instructions that a request costs, by callgrind, and holds them within 3 % of benches/instructions.json.

The count does not depend on what else the machine does. Two runs with different numbers of requests are subtracted, so
that start and end cancel out. `--floor` counts the floor as well and says how the gateway compares with it; `--record`
does so too, and writes all counts as the new baseline.
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
CONNECTIONS = 8

SCENARIOS = {
    "plain": (load.SMALL, {}),
    "routes1000": (load.spread(1_000), {"routes": 1_000}),
    "log": (load.SMALL, {"log": True}),
    "post10k": (load.POST, {}),
}

# The C library copies what is long by `rep movsb`, which callgrind counts byte by byte and a processor does not. Told
# so, it copies in vectors.
COPY_IN_VECTORS = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000"
COUNTED = ["env", COPY_IN_VECTORS, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def send(port, asked, count):
    """So many requests, several at once: alone, each would pay for an allocator that finds all memory unused."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(CONNECTIONS)]
    for _ in range(count // CONNECTIONS):
        for connection in connections:
            connection.request("POST" if asked.post else "GET", asked.path, asked.post)
        for connection in connections:
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
            running.append(Process(subject, COUNTED + gateways.GATEWAYS[subject](task, programs), cpus, folder))
            running[1].await_port(task.port, patience=300)
            send(task.port, asked, count)
        finally:
            for process in reversed(running):
                process.stop(patience=60)
        text = running[1].log.read_text()
        found = re.search(r"Collected : (\d+)", text)
        return int(found[1]) if found else sys.exit(f"callgrind counted nothing:\n{text[-2000:]}")


def per_request(subject, programs, scenario):
    few, many = (collected(subject, programs, scenario, count) for count in (FEW, MANY))
    return round((many - few) / (MANY - FEW))


def verdict(count, before):
    """What the count is to the baseline, and whether it is over the fence."""
    if not before:
        return "no baseline", True
    over = count > before * (1 + FENCE)
    return f"{count / before - 1:+.1%} to {before}{', over the fence' if over else ''}", over


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the counts as the new baseline")
    parser.add_argument("--floor", action="store_true", help="count the bare proxy too")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="this scenario; may be given again")
    chosen = parser.parse_args()
    subjects = ["gateway", "floor"] if chosen.floor or chosen.record else ["gateway"]
    programs = gateways.programs(Path(os.environ["CARGO_TARGET_DIR"]), Path(os.environ["TOLLGATE_CACHE"]))
    if missing := {"origin", *(gateways.NEEDS[subject] for subject in subjects)} - set(programs):
        sys.exit(f"not built with --release: {', '.join(sorted(missing))}")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    failed = False
    for scenario in chosen.only or SCENARIOS:
        counts = {subject: per_request(subject, programs, scenario) for subject in subjects}
        told, over = verdict(counts["gateway"], baseline.get(scenario, {}).get("gateway"))
        failed |= over
        ratio = f", {counts['gateway'] / counts['floor']:.3f} of the floor's {counts['floor']}" if "floor" in counts else ""
        print(f"{scenario:12}{counts['gateway']:>8} instructions a request, {told}{ratio}", flush=True)
        baseline[scenario] = {**baseline.get(scenario, {}), **counts}
    if chosen.record:
        BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
        return 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
