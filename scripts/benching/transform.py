"""What it costs to change requests and answers: the gateway beside itself without the rules, on the same requests."""

import json
import statistics

from . import load
from .access import ROUNDS_FOR_ONE, beside_itself
from .gateways import Policy
from .measure import Cpus
from .scenarios import row, target

# What JSON of 2 KB may cost more, in microseconds of CPU per request.
JSON_LIMIT = 12.0


def headers(bench):
    """fields set, added and removed both ways, one made of the request"""
    asked = load.Load("", 1_024, headers={"X-Debug": "1", "X-Client-Version": "7"})
    rules = (
        ", request: { rename: { X-Client-Version: X-App-Version }, remove: [X-Debug], set: { X-Channel: web, X-Client: \"{client}\" } }"
        ", response: { remove: [Server, X-Powered-By], set: { X-Served: \"{status}\" }, add: { Cache-Control: no-store } }"
    )
    return beside_itself(bench, "headers", asked, {"gateway": (Policy(), Policy(route=rules))}, 1.02)


def json2k(bench):
    """JSON of 2 KB in the request, a member set and two removed by pointer"""
    items = [{"id": n, "name": f"article number {n}", "price": 10.50, "cost": 7.25, "tags": ["a", "b"]} for n in range(20)]
    body = json.dumps({"order": {"no": 12345678901234567890, "items": items}, "internal": "x" * 200, "trace": "t"})
    post = f'wrk.method = "POST" wrk.body = [==[{body}]==]'
    asked = load.Load(post, None, "/", body.encode(), headers={"Content-Type": "application/json"}, changed=True)
    rules = ", request: { json: { set: { /channel: web }, remove: [/internal, /trace] } }"
    wanted = {"gateway": ("gateway", 1, Policy()), "gateway json2k": ("gateway", 1, Policy(route=rules))}
    if "gateway" not in bench.peers:
        return [], []
    cpus = Cpus.apart()
    with bench.contenders(wanted, cpus, asked) as contenders:
        bench.rounds("json2k", contenders, cpus, times=ROUNDS_FOR_ONE)
    rows = [row(label, statistics.median(one.cpu), "µs CPU/request", rounds=one.cpu) for label, one in contenders.items()]
    pairs = zip(contenders["gateway json2k"].cpu, contenders["gateway"].cpu)
    more = statistics.median(changed - plain for changed, plain in pairs)
    return rows, [target(f"µs CPU per request more than without, {len(body)} bytes of JSON", more, JSON_LIMIT)]


SCENARIOS = {"headers": headers, "json2k": json2k}
