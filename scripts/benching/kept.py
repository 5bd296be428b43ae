"""What is answered from memory, and what is compressed, beside those who do the same.

Envoy is not among them: its cache filter keeps only what says `Cache-Control` itself, and its makers call it unfinished.
"""

from .gateways import Policy
from .load import Load
from .measure import Cpus, ratio
from .scenarios import cpu_rows, target

KEEPS = Policy(
    route=", cache: 1h",
    nginx=(
        "proxy_cache_path {folder}/nginx-kept keys_zone=kept:10m; proxy_cache kept; proxy_cache_valid 200 1h;",
        "",
    ),
)
LEVEL = 4
COMPRESSES = Policy(
    route=f", compress: {{ codings: [gzip], level: {{ gzip: {LEVEL} }} }}",
    nginx=(f"gzip on; gzip_types application/json; gzip_proxied any; gzip_comp_level {LEVEL}; gzip_min_length 1k;", ""),
)


def side_by_side(bench, title, asked, wanted, policy):
    """CPU per request of those of `wanted` that are there, with one worker each and that policy."""
    cpus = Cpus.apart()
    there = {name for name in wanted if name in bench.peers or (name == "varnish" and name in bench.programs)}
    one_each = {name: (name, 1, policy) for name in wanted if name in there}
    with bench.contenders(one_each, cpus, asked) as contenders:
        bench.rounds(title, contenders, cpus)
    return contenders


def held(contenders, base, text, limit):
    """The gateway's ratio to another, held to a limit where both are there."""
    if "gateway" not in contenders or base not in contenders:
        return []
    return [target(text, ratio(contenders["gateway"], contenders[base]), limit)]


def hit1k(bench):
    """answers of 1 KB from memory; the floor asks its upstream each time"""
    asked = Load("", 1_024, kept=True)
    contenders = side_by_side(bench, "hit1k", asked, ["gateway", "pgo", "floor", "nginx", "varnish"], KEEPS)
    targets = held(contenders, "floor", "CPU per hit to an uncached request of the floor's", 0.6)
    for peer in ("nginx", "varnish"):
        targets += held(contenders, peer, f"CPU per hit to that of {peer}", 1.0)
    return list(cpu_rows(contenders)), targets


def hit100k(bench):
    """answers of 100 KB from memory"""
    asked = Load('wrk.path = "/100k"', 100_000, "/100k", kept=True)
    contenders = side_by_side(bench, "hit100k", asked, ["gateway", "pgo", "floor", "nginx", "varnish"], KEEPS)
    return list(cpu_rows(contenders)), []


def gzip20k(bench):
    """20 KB of JSON compressed for each request, all at the same level"""
    asked = Load('wrk.path = "/json"', None, "/json", headers={"Accept-Encoding": "gzip"}, coding="gzip")
    contenders = side_by_side(bench, "gzip20k", asked, ["gateway", "pgo", "nginx"], COMPRESSES)
    return list(cpu_rows(contenders)), held(contenders, "nginx", "CPU per request to that of nginx", 1.1)


def kept_gzip20k(bench):
    """20 KB of JSON from memory, compressed once"""
    both = Policy(
        route=KEEPS.route + COMPRESSES.route,
        nginx=tuple(" ".join(lines) for lines in zip(KEEPS.nginx, COMPRESSES.nginx, strict=True)),
    )
    asked = Load('wrk.path = "/json"', None, "/json", headers={"Accept-Encoding": "gzip"}, kept=True, coding="gzip")
    contenders = side_by_side(bench, "kept-gzip20k", asked, ["gateway", "pgo", "nginx"], both)
    return list(cpu_rows(contenders)), []


SCENARIOS = {"hit1k": hit1k, "hit100k": hit100k, "gzip20k": gzip20k, "kept-gzip20k": kept_gzip20k}
