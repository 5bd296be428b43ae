"""Load by wrk, and single requests that see whether a gateway does the work at all."""

import http.client
import json
import re
import subprocess
from dataclasses import dataclass, field

MICROSECONDS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}


@dataclass
class Load:
    """What is asked for: lines of a wrk script, the length of an answer's body (none where it is not fixed)."""

    script: str
    body: int | None
    path: str = "/"
    post: bytes | None = None
    headers: dict = field(default_factory=dict)
    refused: dict | None = None  # headers with which a policy must not let it pass
    kept: bool = False  # whether gateways answer from memory; the floor cannot
    coding: str | None = None  # the coding answers must be in
    changed: bool = False  # whether a policy may pass another body on than came

    def lines(self):
        """The wrk script."""
        return self.script + "".join(f'\nwrk.headers["{name}"] = "{value}"' for name, value in self.headers.items())


SMALL = Load("", 1_024)
LARGE = Load('wrk.path = "/100k"', 100_000, "/100k")
POST = Load('wrk.method = "POST" wrk.body = string.rep("x", 10240)', None, "/", b"x" * 10_240)


def spread(routes):
    """Requests over all the routes in turn."""
    script = f"""
local requests, turn = {{}}, 0
init = function() for n = 0, {routes - 1} do requests[n] = wrk.format("GET", "/r" .. n .. "/items/7") end end
request = function() turn = (turn + 7) % {routes} return requests[turn] end
"""
    return Load(script, 1_024, f"/r{routes // 2}/items/7")


@dataclass
class Result:
    """What wrk counted."""

    requests: int
    p50: float
    p99: float


def run(wrk, load, port, folder, seconds, connections, cpus):
    """Loads a gateway for so many seconds; every answer must be a good one."""
    script = folder / "load.lua"
    script.write_text(load.lines())
    command = ["taskset", "-c", ",".join(map(str, cpus)), wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", script, f"http://127.0.0.1:{port}{load.path}"]
    output = subprocess.run(map(str, command), capture_output=True, text=True, check=True).stdout
    if "Socket errors" in output or "Non-2xx" in output:
        raise RuntimeError(f"not every answer was good:\n{output}")
    return Result(int(re.search(r"(\d+) requests in", output)[1]), latency(output, 50), latency(output, 99))


def latency(output, percentile):
    value, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s|m)", output).groups()
    return float(value) * MICROSECONDS[unit]


def origin_counts(port):
    """Connections and requests the origin has seen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/origin/stats")
    return json.loads(connection.getresponse().read())


def require_work(name, load, work):
    """Asserts that the gateway does the work: the right answer, kept alive on both sides, from the origin."""
    before = origin_counts(work.origin)
    connection = http.client.HTTPConnection("127.0.0.1", work.port, timeout=10)
    for turn in range(20):
        connection.request("POST" if load.post else "GET", load.path, load.post, load.headers)
        local = connection.sock and connection.sock.getsockname()
        response = connection.getresponse()
        body = response.read()
        check(name, response.status == 200, f"answers {response.status}")
        check(name, response.getheader("Content-Encoding") == load.coding, f"does not answer in {load.coding}")
        check(name, load.body in (None, len(body)), f"answers {len(body)} bytes")
        arrived = json.loads(body)["length"] if load.post else 0
        same = arrived == len(load.post or b"") or load.changed and arrived
        check(name, same, f"passes another body on: {body}")
        check(name, connection.sock and connection.sock.getsockname() == local, f"closes the connection at {turn}")
    after = origin_counts(work.origin)
    passed = after["requests"] - before["requests"]
    if load.kept and name != "floor":
        check(name, passed <= 1, f"asks its upstream {passed} times in 20")
    else:
        check(name, passed == 20, "does not pass every request on")
    # One of the new connections is the counting itself.
    check(name, after["connections"] - before["connections"] <= 3, "does not keep its upstream connection")
    if work.routes > 1 and name != "floor":
        connection.request("GET", "/nowhere")
        check(name, connection.getresponse().status == 404, "routes what has no route")


def status(port, headers):
    """The status of the answer to a request with these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=headers)
    return connection.getresponse().status


def require_log(name, work, requests):
    """Asserts that an access log holds a line for (nearly) every request: the last ones may still be buffered."""
    if work.log and name != "floor":
        with work.access_log(name).open("rb") as file:
            lines = sum(1 for _ in file)
        check(name, lines >= 0.95 * requests, f"logged {lines} of {requests} requests")


def check(name, holds, fault):
    if not holds:
        raise RuntimeError(f"{name} is not measured, since it {fault}")
