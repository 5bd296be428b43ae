"""Interleaved rounds: each contender in turn, again and again, so that what disturbs one disturbs all."""

import os
import statistics
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import gateways, load
from .processes import Process, free_port


@dataclass
class Plan:
    """How long to measure."""

    rounds: int
    seconds: int
    connections: int = 32


@dataclass
class Cpus:
    """Where the gateways run, and where the load and the origin do."""

    gateway: list
    load: list

    @classmethod
    def apart(cls):
        available = sorted(os.sched_getaffinity(0))
        return cls(available[:1], available[1:2] or available[:1])

    @classmethod
    def several(cls):
        """Two CPUs for the gateway; they are shared with the load where there are not four."""
        available = sorted(os.sched_getaffinity(0))
        return cls(available[:2], available[2:4] or available[:2])


@dataclass
class Contender:
    """One gateway at work."""

    process: Process
    work: gateways.Work
    load: load.Load
    cpu: list = field(default_factory=list)  # µs of CPU time per request, one value a round
    p50: list = field(default_factory=list)
    p99: list = field(default_factory=list)
    requests: int = 0


class Progress:
    """One line that is written again and again; plain lines where nobody watches."""

    def __init__(self):
        self.began = time.monotonic()
        self.watched = sys.stderr.isatty()

    def say(self, text):
        passed = int(time.monotonic() - self.began)
        line = f"[{passed // 60:02}:{passed % 60:02}] {text}"
        print(f"\r\033[K{line}" if self.watched else line, end="" if self.watched else "\n", file=sys.stderr, flush=True)

    def done(self):
        if self.watched:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Bench:
    """What all scenarios need: programs, places, peers, the length of rounds."""

    def __init__(self, programs, folder, peers, plan):
        self.programs, self.folder, self.peers, self.plan = programs, folder, peers, plan
        self.progress = Progress()

    @contextmanager
    def contenders(self, wanted, cpus, asked, **work):
        """Starts an origin and the wanted gateways (label → name, workers, perhaps a policy); each is seen to do the work."""
        running = []
        try:
            origin = free_port()
            running.append(Process("origin", [self.programs["origin"], "--listen", f"127.0.0.1:{origin}"], cpus.load, self.folder))
            running[0].await_port(origin)
            found = {}
            for label, (name, workers, *policy) in wanted.items():
                self.progress.say(f"starting {label}")
                place = self.folder / label.replace(" ", "-")
                place.mkdir(exist_ok=True)
                more = {"policy": policy[0]} if policy else {}
                task = gateways.Work(origin, place, workers=workers, **work, **more)
                running.append(gateways.start(name, task, self.programs, cpus.gateway))
                load.require_work(name, asked, task)
                found[label] = Contender(running[-1], task, asked)
            yield found
        finally:
            for process in running:
                process.stop()

    def one_worker_each(self):
        return {name: (name, 1) for name in self.peers}

    def rounds(self, title, contenders, cpus, times=1):
        """Measures every contender in every round, each round beginning with another one; `times` as many rounds, each
        that much shorter."""
        rounds, seconds = self.plan.rounds * times, max(1, self.plan.seconds // times)
        labels = list(contenders)
        for label in labels:
            self.once(contenders[label], 1, cpus)
        for turn in range(rounds):
            shift = turn % len(labels)
            for label in labels[shift:] + labels[:shift]:
                self.progress.say(f"{title}: round {turn + 1} of {rounds}, {label}")
                contender = contenders[label]
                cpu, result = self.once(contender, seconds, cpus)
                contender.cpu.append(cpu)
                contender.p50.append(result.p50)
                contender.p99.append(result.p99)

    def once(self, contender, seconds, cpus):
        """µs of the gateway's CPU time per request under load, and what the load saw."""
        before = contender.process.cpu_seconds()
        place = (contender.work.port, contender.work.folder)
        result = load.run(self.programs["wrk"], contender.load, *place, seconds, self.plan.connections, cpus.load)
        contender.requests += result.requests
        return (contender.process.cpu_seconds() - before) / result.requests * 1e6, result


def ratio(contender, base):
    """The median of the ratios within the same round."""
    return statistics.median(one / other for one, other in zip(contender.cpu, base.cpu, strict=True))
