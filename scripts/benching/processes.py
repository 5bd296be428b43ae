"""Processes of the bench: started pinned, watched, measured through /proc, ended with it."""

import os
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
DEADLINE = 20


def free_port():
    """A port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A program pinned to some CPUs, with all its children."""

    def __init__(self, name, command, cpus, folder, stdout=None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            pinned = ["taskset", "-c", ",".join(map(str, cpus)), *map(str, command)]
            self.child = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, cwd=folder)

    def pids(self):
        """The process and its descendants (nginx forks its workers)."""
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            try:
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    waiting += map(int, children.read_text().split())
            except OSError:
                pass
        return found

    def cpu_seconds(self):
        """User and system time of all threads so far."""
        return sum(map(self._ticks, self.pids())) / TICKS_PER_SECOND

    def _ticks(self, pid):
        self.require_alive()
        # The name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def resident_bytes(self):
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def require_alive(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{self.log.read_text()[-2000:]}")

    def await_port(self, port, patience=DEADLINE):
        """Waits until it accepts connections."""
        end = time.monotonic() + patience
        while True:
            self.require_alive()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise RuntimeError(f"{self.name} does not listen:\n{self.log.read_text()[-2000:]}") from None
                time.sleep(0.02)

    def stop(self, patience=5):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
