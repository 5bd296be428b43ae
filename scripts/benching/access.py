"""What it costs to decide who may pass: each gateway beside itself without the policy, on the same requests."""

import base64
import json
import random
import statistics
import subprocess
import time

from . import load
from .gateways import Policy
from .measure import Cpus, ratio
from .scenarios import row, target

NETWORKS = 100_000
KEY = "bench-4a1f0b7d55c943a09f3d6c1e2b8a7790"
ISSUER, AUDIENCE = "https://idp.example", "bench"
# A share of a hundredth is less than what one round differs from the next: many short rounds, and their median.
ROUNDS_FOR_ONE = 5


def beside_itself(bench, title, asked, policies, limit):
    """CPU per request of each gateway with its policy and without; our own ratio is held to `limit`."""
    cpus = Cpus.apart()
    wanted = {}
    for name in [name for name in policies if name in bench.peers]:
        without, policy = policies[name]
        wanted[name] = (name, 1, without)
        wanted[f"{name} {title}"] = (name, 1, policy)
    if not wanted:
        return [], []
    with bench.contenders(wanted, cpus, asked) as contenders:
        bench.rounds(title, contenders, cpus, times=ROUNDS_FOR_ONE)
        for label, contender in contenders.items():
            load.check(label, " " not in label or refuses(contender), "lets pass whoever comes")
    rows, targets = [], []
    for label, contender in contenders.items():
        more = {"p50_us": statistics.median(contender.p50), "p99_us": statistics.median(contender.p99)}
        if " " in label:
            more["to_without"] = ratio(contender, contenders[label.split()[0]])
            if label.startswith("gateway "):
                targets.append(target("CPU per request to the gateway's without", more["to_without"], limit))
        rows.append(row(label, statistics.median(contender.cpu), "µs CPU/request", **more, rounds=contender.cpu))
    return rows, targets


def refuses(contender):
    """Whether a request that may not pass is told so."""
    asked = contender.load.refused
    return asked is None or load.status(contender.work.port, asked) in (401, 403)


def ip(bench):
    """a list of 100,000 denied networks, the client in none of them"""
    folder = bench.folder / "lists"
    folder.mkdir(exist_ok=True)
    numbers = random.Random(1)
    networks = (f"{numbers.randrange(1, 126)}.{numbers.randrange(256)}.{numbers.randrange(256)}.0/24\n" for _ in range(NETWORKS))
    (folder / "denied.txt").write_text("".join(networks) + "198.51.100.0/24\n")
    # The proxy in front of a gateway tells the client's address; here that is wrk itself.
    asked = load.Load("", 1_024, headers={"X-Forwarded-For": "203.0.113.7"}, refused={"X-Forwarded-For": "198.51.100.7"})
    trusted = "trusted_proxies: [127.0.0.1]"
    policies = {"gateway": (Policy(top=trusted), Policy(top=trusted, route=f", ip: {{ deny_from: {folder}/denied.txt }}"))}
    return beside_itself(bench, "ip", asked, policies, 1.02)


def api_key(bench):
    """an API key in a header"""
    secret = bench.folder / "api-key"
    secret.write_text(KEY + "\n")
    top = f"auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\nconsumers: {{ bench: {{ keys: [$file:{secret}] }} }}"
    asked = load.Load("", 1_024, headers={"X-API-Key": KEY}, refused={"X-API-Key": KEY[::-1]})
    return beside_itself(bench, "api-key", asked, {"gateway": (Policy(), Policy(top=top, route=", auth: keys"))}, 1.03)


def jwt(bench):
    """one RS256 token again and again: signature, issuer, audience and expiry; Envoy with its token cache, HAProxy has none"""
    folder = bench.folder / "jwt"
    folder.mkdir(exist_ok=True)
    jwks, token = signed(folder)
    key = folder / "public.pem"
    top = f"auth: {{ idp: {{ jwt: {{ issuer: {ISSUER}, audience: {AUDIENCE}, jwks: {folder}/jwks.json }} }} }}"
    haproxy = f"""http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify("RS256","{key}") -m int 1 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}"""
    provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": json.dumps(jwks)},
                "forward": False, "jwt_cache_config": {"jwt_cache_size": 100}}
    config = {"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
              "providers": {"idp": provider}, "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}]}
    envoy = json.dumps({"name": "jwt", "typed_config": config}) + ", "
    asked = load.Load("", 1_024, headers={"Authorization": f"Bearer {token}"}, refused={"Authorization": f"Bearer {token[:-4]}AAAA"})
    policies = {"gateway": (Policy(), Policy(top=top, route=", auth: idp")), "envoy": (Policy(), Policy(envoy=envoy)),
                "haproxy": (Policy(), Policy(haproxy=haproxy))}
    return beside_itself(bench, "jwt", asked, policies, 1.06)


def signed(folder):
    """A fresh RSA key as a JWKS and as PEM, and a token signed with it."""
    private, public = folder / "private.pem", folder / "public.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    modulus = openssl("rsa", "-pubin", "-in", public, "-modulus", "-noout").decode().strip().partition("=")[2]
    jwks = {"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": text64(bytes.fromhex(modulus)), "e": "AQAB"}]}
    (folder / "jwks.json").write_text(json.dumps(jwks))
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench", "exp": int(time.time()) + 86_400}
    parts = [{"alg": "RS256", "typ": "JWT", "kid": "one"}, claims]
    content = ".".join(text64(json.dumps(part).encode()) for part in parts)
    return jwks, f"{content}.{text64(openssl('dgst', '-sha256', '-sign', private, stdin=content.encode()))}"


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


def text64(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


SCENARIOS = {"ip": ip, "api-key": api_key, "jwt": jwt}
