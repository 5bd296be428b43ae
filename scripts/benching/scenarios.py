"""What is measured, and the targets it is held to."""

import http.client
import socket
import statistics
import threading
import time
from contextlib import ExitStack

from . import load
from .gateways import write_gateway
from .measure import Cpus, ratio

IDLE_CONNECTIONS = 2_000
RELOADED_ROUTES = 10_000


def row(label, value, unit, **more):
    return {"label": label, "value": value, "unit": unit, **more}


def target(text, value, limit, *, at_least=False):
    return {"text": text, "value": value, "limit": limit, "ok": value >= limit if at_least else value <= limit}


def cpu_rows(contenders):
    floor, nginx = contenders.get("floor"), contenders.get("nginx")
    for label, contender in contenders.items():
        more = {"p50_us": statistics.median(contender.p50), "p99_us": statistics.median(contender.p99)}
        if floor:
            more["to_floor"] = ratio(contender, floor)
        if nginx:
            more["to_nginx"] = ratio(contender, nginx)
        yield row(label, statistics.median(contender.cpu), "µs CPU/request", **more, rounds=contender.cpu)


def cpu_per_request(bench, title, asked, limit, **work):
    """CPU per request of all peers with one worker; the gateway's ratio to the floor is held to `limit`."""
    cpus = Cpus.apart()
    with bench.contenders(bench.one_worker_each(), cpus, asked, **work) as contenders:
        bench.rounds(title, contenders, cpus)
        for name, contender in contenders.items():
            load.require_log(name, contender.work, contender.requests)
    targets = []
    if limit and "gateway" in contenders and "floor" in contenders:
        targets.append(target("CPU per request to the floor's", ratio(contenders["gateway"], contenders["floor"]), limit))
    return list(cpu_rows(contenders)), targets


def plain(bench):
    """one route, no policy, no access log, 1 KB answers"""
    return cpu_per_request(bench, "plain", load.SMALL, 1.10)


def routes1000(bench):
    """1,000 routes, all of them asked for; the floor routes nothing"""
    return cpu_per_request(bench, "routes1000", load.spread(1_000), 1.12, routes=1_000)


def log(bench):
    """an access log to a file; the floor writes none"""
    return cpu_per_request(bench, "log", load.SMALL, 1.25, log=True)


def post10k(bench):
    """requests with a body of 10 KB"""
    return cpu_per_request(bench, "post10k", load.POST, None)


def body100k(bench):
    """answers of 100 KB"""
    return cpu_per_request(bench, "body100k", load.LARGE, None)


def two_workers(bench):
    """two workers against one, both on the same CPUs"""
    cpus = Cpus.several()
    wanted = {f"{name} {count}": (name, count) for name in bench.peers for count in (1, 2)}
    with bench.contenders(wanted, cpus, load.SMALL) as contenders:
        bench.rounds("two-workers", contenders, cpus)
    rows, targets = [], []
    for name in bench.peers:
        one, two = contenders[f"{name} 1"], contenders[f"{name} 2"]
        to_one = ratio(two, one)
        rows.append(row(name, statistics.median(two.cpu), "µs CPU/request", to_one=to_one, one=statistics.median(one.cpu)))
        if name == "gateway":
            targets.append(target("CPU per request of two workers to one's", to_one, 1.05))
    return rows, targets


def idle(bench):
    """memory of 2,000 idle connections, each after one request"""
    cpus = Cpus.apart()
    rows, targets = [], []
    with bench.contenders(bench.one_worker_each(), cpus, load.SMALL) as contenders:
        for name, contender in contenders.items():
            bench.progress.say(f"idle: {name}")
            before = contender.process.resident_bytes()
            with ExitStack() as stack:
                port = contender.work.port
                connections = [stack.enter_context(idle_connection(port)) for _ in range(IDLE_CONNECTIONS)]
                each = (contender.process.resident_bytes() - before) / IDLE_CONNECTIONS / 1024
                load.check(name, all(map(is_open, connections)), "closes idle connections")
            rows.append(row(name, each, "KB/connection"))
            if name == "gateway":
                targets.append(target("KB of memory per idle connection", each, 35))
    return rows, targets


def idle_connection(port):
    """A connection that has had its one answer."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
    seen = b""
    while len(seen) < 1_024 or not seen.partition(b"\r\n\r\n")[2][1_023:]:
        received = connection.recv(8_192)
        if not received:
            raise RuntimeError("a connection that should stay idle was closed")
        seen += received
    return connection


def is_open(connection):
    """Whether neither data nor an end has come."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


def reuse(bench):
    """the share of upstream requests on connections that were there already"""
    cpus = Cpus.apart()
    rows, targets = [], []
    with bench.contenders(bench.one_worker_each(), cpus, load.SMALL) as contenders:
        for name, contender in contenders.items():
            bench.progress.say(f"reuse: {name}")
            bench.once(contender, 1, cpus)  # what a cold pool must open does not count
            before = load.origin_counts(contender.work.origin)
            bench.once(contender, bench.plan.seconds, cpus)
            after = load.origin_counts(contender.work.origin)
            # The second count is a connection of its own.
            fresh = after["connections"] - before["connections"] - 1
            share = 100 * (1 - fresh / (after["requests"] - before["requests"]))
            rows.append(row(name, share, "% reused"))
            if name == "gateway":
                targets.append(target("% of upstream requests on reused connections", share, 99, at_least=True))
    return rows, targets


def reload(bench):
    """10,000 routes reloaded again and again under load: the slowest hundredth of answers then and before"""
    if "gateway" not in bench.peers:
        return [], []
    cpus = Cpus.several()
    asked = load.Load("", 1_024, "/r7/items")
    with bench.contenders({"gateway": ("gateway", 1)}, cpus, asked, routes=RELOADED_ROUTES) as contenders:
        contender, ratios, reloads = contenders["gateway"], [], 0
        for turn in range(bench.plan.rounds):
            bench.progress.say(f"reload: round {turn + 1} of {bench.plan.rounds}")
            _, before = bench.once(contender, bench.plan.seconds, cpus)
            with Reloader(contender.work) as reloader:
                _, meanwhile = bench.once(contender, bench.plan.seconds, cpus)
            ratios.append(meanwhile.p99 / before.p99)
            reloads += reloader.count
            contender.p99 += [before.p99, meanwhile.p99]
    value = statistics.median(ratios)
    rows = [row("gateway", value, "× p99 before", reloads=reloads, p99_us=contender.p99)]
    return rows, [target("p99 while reloading to p99 before", value, 2.0)]


class Reloader:
    """Changes every route and reloads, until told to stop."""

    def __init__(self, work):
        self.work, self.count, self.fault, self.stopping = work, 0, None, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.is_set():
            write_gateway(self.work, self.work.folder / "gateway.yaml", revision=1 + self.count % 2)
            connection = http.client.HTTPConnection("127.0.0.1", self.work.admin, timeout=30)
            connection.request("POST", "/reload")
            response = connection.getresponse()
            answer = response.read()
            if response.status >= 300:
                self.fault = f"a reload was answered {response.status}: {answer[:300]}"
                return
            self.count += 1
            time.sleep(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        if self.fault or not self.count:
            raise RuntimeError(self.fault or "no reload came through")


SCENARIOS = {
    "plain": plain,
    "routes1000": routes1000,
    "log": log,
    "post10k": post10k,
    "body100k": body100k,
    "two-workers": two_workers,
    "idle": idle,
    "reuse": reuse,
    "reload": reload,
}
