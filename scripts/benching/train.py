"""The work that a profile-guided build is trained on: every kind of request once, none of them much more than others."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benching import gateways, load  # noqa: E402
from benching.processes import Process, free_port  # noqa: E402

ROUTES = 1_000
CONNECTIONS = 16

# No answer of these is read for its worth: some are refusals, on purpose.
PATHS = ["/items/7?page=2&sort=name", "/base/items/7", "/old/7", "/made", "/nowhere", "/down", "/r1/a%2fb", "/%zz"]


def write_config(work, tls_port, folder):
    """All that is trained, in one configuration."""
    certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                   "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"]
    subprocess.run(certificate, cwd=folder, check=True, capture_output=True)
    lines = [
        "listeners:",
        f"  plain: {{ address: 127.0.0.1:{work.port}, protocols: [h1, h2c] }}",
        f"  tls: {{ address: 127.0.0.1:{tls_port}, tls: {{ certificates: [{{ cert: cert.pem, key: key.pem }}] }} }}",
        f"admin: 127.0.0.1:{work.admin}",
        "server: { threads: 1, grace: 1s }",
        f"access_log: {{ to: {work.access_log('trained')} }}",
        f"limits: {{ connections_per_client: 100000, requests_per_connection: {gateways.EVER} }}",
        "upstreams:",
        f"  origin: {{ endpoints: [http://127.0.0.1:{work.origin}] }}",
        f"  down: {{ endpoints: [http://127.0.0.1:{free_port()}] }}",
        "apis:",
        "  based: { base: /base, routes: { /items/**: { to: origin } } }",
        "routes:",
        "  /: { to: origin }",
        "  /100k: { to: origin }",
        "  /items/**: { to: origin }",
        "  /old/{id}: { redirect: { to: '/items/{id}' } }",
        "  /made: { respond: { json: { hello: there } } }",
        "  /down: { to: down }",
        *(f"  /r{n}/**: {{ to: origin }}" for n in range(ROUTES)),
    ]
    file = folder / "gateway.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def wrk(programs, task, url, seconds):
    script = task.folder / "load.lua"
    command = [programs["wrk"], "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, url]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def train(program, programs, folder, seconds):
    origin, tls_port = free_port(), free_port()
    cpus = sorted(os.sched_getaffinity(0))
    task = gateways.Work(origin, folder)
    config = write_config(task, tls_port, folder)
    running = [Process("origin", [programs["origin"], "--listen", f"127.0.0.1:{origin}"], cpus, folder)]
    try:
        running[0].await_port(origin)
        running.append(Process("gateway", [program, "run", "-c", config], cpus, folder))
        running[1].await_port(task.port)
        plain, tls = f"http://127.0.0.1:{task.port}", f"https://127.0.0.1:{tls_port}"
        for asked in (load.SMALL, load.spread(ROUTES), load.POST, load.LARGE):
            (folder / "load.lua").write_text(asked.script)
            for base in (plain, tls):
                wrk(programs, task, base + asked.path, seconds)
        for base, protocol in ((plain, "--http2-prior-knowledge"), (tls, "--http2"), (plain, "--http1.1")):
            for path in ["/", *PATHS]:
                # One connection, many streams; curl reads the numbers in brackets.
                command = ["curl", "-sk", protocol, "--path-as-is", "-Z", "-o", "/dev/null", f"{base}{path}#[1-{200 * seconds}]"]
                subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    finally:
        # The profile is written when the gateway ends by itself.
        for process in reversed(running):
            process.stop(patience=60)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: train.py PROGRAM")
    programs = gateways.programs(Path(os.environ["CARGO_TARGET_DIR"]), Path(os.environ["TOLLGATE_CACHE"]))
    if missing := {"origin", "wrk"} - set(programs):
        sys.exit(f"missing: {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory(prefix="tollgate-training-") as folder:
        Path(folder).chmod(0o755)
        train(Path(sys.argv[1]), programs, Path(folder), seconds=3)


if __name__ == "__main__":
    main()
