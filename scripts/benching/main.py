"""The entry of scripts/bench: arguments in, results out; exit 1 where a target is missed."""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benching import access, gateways, kept, limits, report, transform  # noqa: E402
from benching.measure import Bench, Plan  # noqa: E402
from benching.scenarios import SCENARIOS as PLAIN  # noqa: E402

SCENARIOS = PLAIN | access.SCENARIOS | kept.SCENARIOS | limits.SCENARIOS | transform.SCENARIOS


# The profile-guided build is asked for by name: the aims are for the same profile on both sides. Varnish, which cannot but
# keep, is in the scenarios of kept answers.
USUAL = [name for name in gateways.GATEWAYS if name not in ("pgo", "varnish")]


def arguments():
    def names(known):
        def parse(text):
            chosen = text.split(",")
            if unknown := [name for name in chosen if name not in known]:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {', '.join(known)})")
            return chosen

        return parse

    parser = argparse.ArgumentParser(prog="scripts/bench", description="The gateway beside others on the same work.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", type=names(list(SCENARIOS)), default=list(SCENARIOS), metavar="SCENARIO[,…]",
                        help=", ".join(SCENARIOS))
    parser.add_argument("--peers", type=names(list(gateways.GATEWAYS)), default=USUAL, metavar="NAME[,…]",
                        help=", ".join(gateways.GATEWAYS))
    return parser.parse_args()


def machine():
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {cpu}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f} at the start"


def main():
    chosen = arguments()
    cache = Path(os.environ["TOLLGATE_CACHE"])
    programs = gateways.programs(Path(os.environ["CARGO_TARGET_DIR"]), cache)
    for needed in ("origin", "wrk"):
        if needed not in programs:
            sys.exit(f"{needed} is missing")
    peers = [name for name in chosen.peers if gateways.NEEDS.get(name, name) in programs]
    if missing := [name for name in chosen.peers if name not in peers]:
        print(f"left out, since not installed or built: {', '.join(missing)}", file=sys.stderr)
    plan = Plan(rounds=3, seconds=2) if chosen.quick else Plan(rounds=7, seconds=4)
    results = {"when": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(), "plan": vars(plan), "scenarios": []}
    out = cache / "bench-out"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(programs, Path(folder), peers, plan)
        for name in chosen.only:
            rows, targets = SCENARIOS[name](bench)
            if rows:
                about = SCENARIOS[name].__doc__
                results["scenarios"].append({"name": name, "about": about, "rows": rows, "targets": targets})
            report.write(results, out)
        bench.progress.done()
    print(report.markdown(results))
    print(f"written: {out}/results.json, results.md, results.svg")
    missed = [target for scenario in results["scenarios"] for target in scenario["targets"] if not target["ok"]]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
