"""The gateways compared: how each is told to do the same work. One function a gateway, writing its configuration."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from .processes import Process, free_port

EVER = 1_000_000_000  # keep-alive without end, where a program counts requests


@dataclass
class Policy:
    """Who may pass, and how much, as each gateway is told it; empty where it is not told."""

    top: str = ""  # lines of our own configuration
    route: str = ""  # and fields of its route
    haproxy: str = ""  # lines of the frontend
    haproxy_end: str = ""  # and further sections
    envoy: str = ""  # an HTTP filter, with a comma behind it
    nginx: tuple = ("", "")  # lines of `http`, and of each location


@dataclass
class Work:
    """What a gateway is to do."""

    origin: int
    folder: Path
    routes: int = 1
    workers: int = 1
    log: bool = False
    policy: Policy = field(default_factory=Policy)
    port: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)

    def access_log(self, name):
        return self.folder / f"{name}-access.log"


def gateway(work, programs):
    file = work.folder / "gateway.yaml"
    write_gateway(work, file)
    return [programs["tollgate"], "run", "-c", file]


def pgo(work, programs):
    """The gateway as scripts/pgo builds it."""
    return gateway(work, {**programs, "tollgate": programs["pgo"]})


def write_gateway(work, file, revision=0):
    """The configuration of our own; a revision changes something in every route."""
    origin = f"http://127.0.0.1:{work.origin}"
    routes = [f"  /r{n}/**: {{ to: origin, timeout: {30 + revision}s }}" for n in range(work.routes)]
    if work.routes == 1:
        routes = [f"  /**: {{ to: origin{work.policy.route} }}"]
    log = f"{{ to: {work.access_log('gateway')} }}" if work.log else "off"
    lines = [
        f"listen: 127.0.0.1:{work.port}",
        f"admin: 127.0.0.1:{work.admin}",
        f"server: {{ threads: {work.workers} }}",
        f"access_log: {log}",
        # One client address stands for all of them here, and no connection is closed for its number of requests.
        f"limits: {{ connections_per_client: 100000, requests_per_connection: {EVER} }}",
        f"upstreams:\n  origin: {{ endpoints: [{origin}] }}",
        *work.policy.top.splitlines(),
        "routes:",
        *routes,
    ]
    file.write_text("\n".join(lines) + "\n")


def floor(work, programs):
    address = f"127.0.0.1:{work.port}"
    return [programs["floor"], "--listen", address, "--upstream", f"127.0.0.1:{work.origin}", "--threads", work.workers]


def nginx(work, programs):
    user = "user root;" if os.geteuid() == 0 else ""
    log = f"{work.access_log('nginx')} combined buffer=64k flush=1s" if work.log else "off"
    paths = ["/"] if work.routes == 1 else [f"/r{n}/" for n in range(work.routes)]
    fallback = "" if work.routes == 1 else "location / { return 404; }"
    temporary = " ".join(
        f"{kind}_temp_path {work.folder}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = work.folder / "nginx.conf"
    file.write_text(f"""
daemon off; {user} worker_processes {work.workers}; pid {work.folder}/nginx.pid; error_log stderr warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  {temporary}
  access_log {log}; keepalive_requests {EVER}; keepalive_timeout 60s;
  {work.policy.nginx[0].format(folder=work.folder)}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffers 16 16k; proxy_max_temp_file_size 0;
  upstream origin {{ server 127.0.0.1:{work.origin}; keepalive 1024; keepalive_requests {EVER}; keepalive_timeout 60s; }}
  server {{
    listen 127.0.0.1:{work.port} reuseport;
    {fallback}
    {" ".join(f"location {path} {{ proxy_pass http://origin; {work.policy.nginx[1]} }}" for path in paths)}
  }}
}}
""")
    return [programs["nginx"], "-p", work.folder, "-c", file]


def haproxy(work, programs):
    rules = ""
    if work.routes > 1:
        routes = work.folder / "haproxy.map"
        routes.write_text("".join(f"/r{n}/ origin\n" for n in range(work.routes)))
        rules = f"http-request return status 404 unless {{ path,map_beg({routes}) -m found }}"
    log = ("log stdout format raw local0", "log global\n  option httplog") if work.log else ("", "")
    file = work.folder / "haproxy.cfg"
    file.write_text(f"""
global
  nbthread {work.workers}
  maxconn 4096
  {log[0]}
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  option http-keep-alive
  http-reuse always
  {log[1]}
frontend front
  bind 127.0.0.1:{work.port}
  {rules}
  {work.policy.haproxy}
  default_backend origin
backend origin
  server one 127.0.0.1:{work.origin} pool-max-conn 1024 pool-purge-delay 60s
{work.policy.haproxy_end}
""")
    return [programs["haproxy"], "-db", "-f", file]


def envoy(work, programs):
    prefixes = ["/"] if work.routes == 1 else [f"/r{n}/" for n in range(work.routes)]
    routes = ", ".join(f'{{match: {{prefix: "{prefix}"}}, route: {{cluster: origin, timeout: 30s}}}}' for prefix in prefixes)
    logger = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    log = f"""
          access_log: [{{name: file, typed_config: {{"@type": {logger}, path: {work.access_log("envoy")}}}}}]"""
    kind = "type.googleapis.com/envoy.extensions.filters"
    file = work.folder / "envoy.yaml"
    file.write_text(f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {work.port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {kind}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http{log if work.log else ""}
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{routes}]}}]}}
          http_filters: [{work.policy.envoy}{{name: router, typed_config: {{"@type": {kind}.http.router.v3.Router}}}}]
  clusters:
  - name: origin
    connect_timeout: 2s
    type: STATIC
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {work.origin}}}}}}}
""")
    options = ["--concurrency", work.workers, "--disable-hot-restart", "--log-level", "error"]
    return [programs["envoy"], "-c", file, *options]


def varnish(work, programs):
    """Keeps what it has for an hour; for the scenarios of kept answers alone."""
    file = work.folder / "varnish.vcl"
    file.write_text(f"""vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{work.origin}"; }}
""")
    threads = ["-p", f"thread_pools={work.workers}", "-p", "thread_pool_min=50", "-p", "workspace_client=64k"]
    place = ["-n", work.folder / "varnish", "-a", f"127.0.0.1:{work.port}", "-f", file]
    return [programs["varnish"], "-F", *place, "-s", "malloc,256m", "-t", "3600", *threads]


GATEWAYS = {"gateway": gateway, "pgo": pgo, "floor": floor, "nginx": nginx, "haproxy": haproxy, "envoy": envoy,
            "varnish": varnish}
NEEDS = {"gateway": "tollgate", "floor": "floor"}


def programs(target, cache):
    """Where each program is; those that are missing are left out."""
    places = {
        "tollgate": target / "release" / "tollgate",
        "pgo": target / "pgo" / "tollgate",
        "floor": target / "release" / "examples" / "floor",
        "origin": target / "release" / "examples" / "origin",
        "nginx": shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"),
        "haproxy": shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"),
        "varnish": shutil.which("varnishd", path=os.environ["PATH"] + ":/usr/sbin"),
        "envoy": cache / "envoy" / "bin" / "envoy",
        "wrk": shutil.which("wrk"),
    }
    return {name: place for name, place in places.items() if place and Path(place).exists()}


def start(name, work, found, cpus):
    """A gateway that listens and does that work."""
    command = GATEWAYS[name](work, found)
    log_to = work.access_log(name).open("wb") if name == "haproxy" and work.log else None
    process = Process(name, command, cpus, work.folder, stdout=log_to)
    process.await_port(work.port)
    return process
