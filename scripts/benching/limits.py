"""What limits cost: each gateway beside itself without them, on the same requests of one consumer."""

import json

from . import gateways, load
from .access import KEY, beside_itself
from .gateways import Policy, Work
from .processes import Process, free_port

# Nothing is refused in what is measured.
PLENTY = 1_000_000
# And next to nothing passes where it is seen that the limits are there.
NEXT_TO_NOTHING = 1
ASKED = load.Load("", 1_024, headers={"X-API-Key": KEY})
BY_KEY = """stick-table type string len 64 size 100k expire 10m store http_req_rate(1s)
  http-request track-sc0 req.hdr(x-api-key)"""
LOCAL = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def limit(bench):
    """a limit per consumer, beside the same gateway with an API key and no limit; nginx limit_req and HAProxy's stick table by the same header, Envoy's local limit"""
    return measured(bench, "limit", one, 1.02)


def plan(bench):
    """a plan (limit, quota, in-flight cap), two limits of the route and its in-flight cap; peers have two limits and a cap, Envoy two limits"""
    return measured(bench, "plan", several, 1.04)


def measured(bench, title, policies, most):
    keys = top(bench)
    for name, policy in policies(keys, NEXT_TO_NOTHING).items():
        if name in bench.peers:
            require_refusal(bench, name, title, policy)
    without = {"gateway": Policy(top=keys, route=", auth: keys")}
    wanted = {name: (without.get(name, Policy()), policy) for name, policy in policies(keys, PLENTY).items()}
    return beside_itself(bench, title, ASKED, wanted, most)


def require_refusal(bench, name, title, policy):
    """Asserts that a gateway with that policy refuses one of twenty requests that come at once."""
    folder = bench.folder / f"{name}-{title}-refusing"
    folder.mkdir(exist_ok=True)
    port, running = free_port(), []
    try:
        running.append(Process("origin", [bench.programs["origin"], "--listen", f"127.0.0.1:{port}"], [0], folder))
        running[0].await_port(port)
        work = Work(port, folder, policy=policy)
        running.append(gateways.start(name, work, bench.programs, [0]))
        seen = {load.status(work.port, ASKED.headers) for _ in range(20)}
        load.check(f"{name} {title}", 429 in seen, f"refuses nobody: {sorted(seen)}")
    finally:
        for process in running:
            process.stop()


def one(keys, rate):
    return {
        "gateway": Policy(top=keys, route=f", auth: keys, limit: {rate}/s per consumer"),
        "nginx": Policy(nginx=(zone("one", "$http_x_api_key", rate), spent("one", rate) + "limit_req_status 429;")),
        "haproxy": Policy(haproxy=f"{BY_KEY}\n  {over(0, rate)}"),
        "envoy": Policy(envoy=bucket("one", rate)),
    }


def several(keys, rate):
    plans = f"plans: {{ gold: {{ limit: {rate}/s, quota: 1000000000000/month, max_in_flight: 10000 }} }}"
    on_plan = keys.replace("bench: {", "bench: { plan: gold,")
    cap = "limit_conn_zone $server_name zone=all:1m;"
    tables = f"{BY_KEY}\n  http-request track-sc1 src table others"
    return {
        "gateway": Policy(
            top=f"{on_plan}\n{plans}",
            route=f", auth: keys, limit: [{rate}/s per consumer, {rate}/s per client], max_in_flight: 10000",
        ),
        "nginx": Policy(
            nginx=(
                zone("one", "$http_x_api_key", rate) + zone("two", "$binary_remote_addr", rate) + cap,
                spent("one", rate) + spent("two", rate) + "limit_req_status 429; limit_conn all 10000; limit_conn_status 429;",
            ),
        ),
        "haproxy": Policy(
            haproxy=f"{tables}\n  {over(0, rate)}\n  {over(1, rate)}\n  http-request deny deny_status 429 if {{ fe_conn gt 10000 }}",
            haproxy_end="backend others\n  stick-table type ip size 100k expire 10m store http_req_rate(1s)",
        ),
        "envoy": Policy(envoy=bucket("one", rate) + bucket("two", rate)),
    }


def top(bench):
    secret = bench.folder / "api-key-of-limits"
    secret.write_text(KEY + "\n")
    return f"auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\nconsumers: {{ bench: {{ keys: [$file:{secret}] }} }}"


def zone(name, key, rate):
    return f"limit_req_zone {key} zone={name}:10m rate={rate}r/s; "


def spent(name, rate):
    return f"limit_req zone={name} burst={rate} nodelay; "


def over(number, rate):
    return f"http-request deny deny_status 429 if {{ sc_http_req_rate({number}) gt {rate} }}"


def bucket(name, rate):
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    config = {"@type": LOCAL, "stat_prefix": name, "filter_enabled": always, "filter_enforced": always,
              "token_bucket": {"max_tokens": rate, "tokens_per_fill": rate, "fill_interval": "1s"}}
    return json.dumps({"name": name, "typed_config": config}) + ", "


SCENARIOS = {"limit": limit, "plan": plan}
