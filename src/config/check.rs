//! What can be said of a written configuration before it is compiled: choices of exactly one, and ranges.

use super::{
    Config, GrpcClientsConfig, GrpcConfig, ListenerProtocol, MOST_MIRRORED, MOST_REPLAYED, MirrorConfig, ReplyTemplate,
    RetriesConfig, RouteConfig, Routes, UpstreamConfig,
};
use crate::value::{Named, OrOff, Place, Problems, SecretConfig, SecretSource, Spanned};
use std::time::Duration;

/// Gathers everything that is wrong by itself.
pub fn check(config: &Config, problems: &mut Problems) {
    if let Some(admin) = &config.admin
        && admin.token.is_none()
        && !admin.address.ip().is_loopback()
    {
        problems
            .error(admin.address.place, "the admin API needs a token on an address that is not loopback")
            .hint("write `token: $env:TOLLGATE_ADMIN_TOKEN`, or listen on 127.0.0.1");
    }
    if let Some(SecretConfig { source: SecretSource::Inline(_), place }) =
        config.admin.as_ref().and_then(|admin| admin.token.as_ref())
    {
        problems.warn(*place, "the secret stands in the file itself").hint("write `$env:NAME` or `$file:path`");
    }
    if let Some(OrOff::On(overload)) = &config.server.overload
        && overload.delay.get() < Duration::from_millis(10)
    {
        problems.error(overload.place, "`delay` of overload control is 10ms or more").hint("write `off` for none");
    }
    if let Some(threads) = config.server.threads.filter(|threads| !(1..=256).contains(&threads.value)) {
        problems.error(threads.place, "`threads` is from 1 to 256");
    }
    if let Some(keys) = config.server.max_keys.filter(|keys| !(1_000..=100_000_000).contains(&keys.value)) {
        problems.error(keys.place, "`max_keys` is from 1000 to 100000000");
    }
    if let Some(gathered) = config.server.gathered.filter(|gathered| gathered.get() < 1 << 20) {
        problems.error(gathered.place, "`gathered` is 1MiB or more").hint("answers that are larger are 503");
    }
    listeners(config, problems);
    retries(config.defaults.retries.as_ref(), problems);
    mirror(config.defaults.mirror.as_ref(), problems);
    for (name, upstream) in config.upstreams.iter() {
        self::upstream(name, upstream, problems);
    }
    replies(&config.replies, problems);
    routes(&config.routes, problems);
    for (_, api) in config.apis.iter() {
        retries(api.retries.as_ref(), problems);
        mirror(api.mirror.as_ref(), problems);
        replies(&api.replies, problems);
        routes(&api.routes, problems);
    }
}

fn listeners(config: &Config, problems: &mut Problems) {
    let all = config.listeners.iter().map(|(_, listener)| &listener.limits).chain([&config.limits]);
    for limits in all {
        if let Some(count) = limits.header_count.filter(|count| count.value == 0 || count.value > 250) {
            problems.error(count.place, "header_count is from 1 to 250");
        }
        if let Some(requests) = limits.requests_per_connection.filter(|requests| requests.value == 0) {
            problems.error(requests.place, "requests_per_connection is at least 1");
        }
    }
    for (name, listener) in config.listeners.iter() {
        let protocols = listener.protocols.as_deref().unwrap_or_default();
        if listener.protocols.as_ref().is_some_and(Vec::is_empty) {
            problems.error(name.place, "the listener speaks no protocol").hint("leave `protocols` out, or name one");
        }
        for protocol in protocols {
            match (protocol.value, &listener.tls) {
                (ListenerProtocol::H2, None) => {
                    problems.error(protocol.place, "h2 needs TLS").hint("write `h2c` for HTTP/2 in clear text");
                }
                (ListenerProtocol::H2c, Some(_)) => {
                    problems.error(protocol.place, "h2c is HTTP/2 without TLS").hint("write `h2`");
                }
                _ => {}
            }
        }
        if let Some(tls) = &listener.tls {
            if tls.certificates.is_empty() {
                problems.error(name.place, "tls without a certificate");
            }
            if let Some(auth) = tls.client_auth.filter(|_| tls.client_ca.is_none()) {
                problems.error(auth.place, "client_auth needs client_ca, the CA that signs clients' certificates");
            }
        }
    }
}

fn retries(retries: Option<&RetriesConfig>, problems: &mut Problems) {
    let Some(retries) = retries else { return };
    if retries.replay.get() > MOST_REPLAYED {
        problems
            .error(retries.replay.place, "a body that is sent again has at most 64KiB: no more of it is kept")
            .hint("write `64KiB` or less; requests with longer bodies are tried once");
    }
    if let Some(limit) = retries.per_try.filter(|limit| limit.is_zero()) {
        problems.error(limit.place, "`per_try` must be longer than nothing").hint("write `2s`, or leave it out");
    }
}

fn mirror(mirror: Option<&OrOff<MirrorConfig>>, problems: &mut Problems) {
    let Some(OrOff::On(mirror)) = mirror else { return };
    if mirror.max_body.get() > MOST_MIRRORED {
        problems.error(mirror.max_body.place, "a body that is copied has at most 8MiB").hint("write `8MiB` or less");
    }
    if !(1..=10_000).contains(&mirror.max_in_flight.value) {
        problems
            .error(mirror.max_in_flight.place, "`max_in_flight` of a mirror is from 1 to 10000")
            .hint("write `mirror: off` for no copies");
    }
}

fn upstream(name: &Spanned<String>, upstream: &UpstreamConfig, problems: &mut Problems) {
    if let Some(most) = upstream.max_in_flight.filter(|most| most.value == 0) {
        problems
            .error(most.place, "with a `max_in_flight` of 0 no request would pass")
            .hint("leave it out for no bound");
    }
    if let Some(OrOff::On(overload)) = &upstream.overload
        && (overload.at_least == 0 || !(1.1..=100.0).contains(&overload.tolerance))
    {
        problems
            .error(overload.place, "`at_least` of overload control is 1 or more, and `tolerance` from 1.1 to 100")
            .hint("write `off` for none");
    }
    if let Some(breaker) = &upstream.breaker {
        let never = breaker.open_at.fraction() <= 0.0 || breaker.probes == 0 || breaker.window.is_zero();
        if never {
            problems.error(breaker.place, "`open_at`, `window` and `probes` of a breaker are above 0");
        }
    }
    match (upstream.endpoints.as_slice(), &upstream.discover) {
        ([], None) => {
            problems
                .error(name.place, format!("upstream `{}` has no endpoint", name.value))
                .hint("write `endpoints: [http://10.0.0.1:8080]`, or `discover: { dns: name, port: 8080 }`");
        }
        ([_, ..], Some(discover)) => {
            problems.error(discover.place, "endpoints and discover stand together; write one of them");
        }
        _ => {}
    }
    for endpoint in &upstream.endpoints {
        weight(endpoint.weight, endpoint.place, problems);
    }
    if let Some(health) = &upstream.health
        && let Some(path) = health.path.as_ref().filter(|_| health.tcp)
    {
        problems.error(path.place, "a check by TCP asks for no path; leave one of `path` and `tcp` out");
    }
    if let Some(health) = &upstream.health
        && let Some(grpc) = health.grpc.as_ref().filter(|_| health.tcp || health.path.is_some())
    {
        problems
            .error(grpc.place, "an endpoint is asked in one way; leave all but one of `path`, `grpc` and `tcp` out");
    }
    for interval in [upstream.health.as_ref().map(|it| it.interval), upstream.discover.as_ref().map(|it| it.interval)] {
        if let Some(interval) = interval.filter(|interval| interval.is_zero()) {
            problems.error(interval.place, "`interval` must be longer than nothing").hint("write `5s`");
        }
    }
    if upstream.tls.cert.is_some() != upstream.tls.key.is_some() {
        problems.error(name.place, "cert and key of `tls` stand together or not at all");
    }
}

/// A weight within its range.
pub fn weight(weight: Spanned<u32>, at: Place, problems: &mut Problems) {
    if !(1..=1_000).contains(&weight.value) {
        let place = if weight.place.is_known() { weight.place } else { at };
        problems.error(place, "a weight is from 1 to 1000");
    }
}

fn replies(replies: &Named<ReplyTemplate>, problems: &mut Problems) {
    for (name, reply) in replies.iter() {
        if reply.body.is_some() == reply.file.is_some() {
            problems.error(name.place, "a reply has exactly one of `body` and `file`");
        }
        if let Some(status) = reply.status.filter(|status| !(200..=599).contains(&status.value)) {
            problems.error(status.place, "a status is from 200 to 599");
        }
    }
}

fn routes(routes: &Routes, problems: &mut Problems) {
    for (key, route) in routes.iter() {
        self::route(key, route, problems);
        replies(&route.replies, problems);
    }
}

fn route(key: &Spanned<String>, route: &RouteConfig, problems: &mut Problems) {
    retries(route.retries.as_ref(), problems);
    mirror(route.mirror.as_ref(), problems);
    let actions = [
        route.to.as_ref().map(|to| to.place),
        route.combine.as_ref().map(|combine| combine.place),
        route.batch.as_ref().map(|batch| batch.place),
        route.redirect.as_ref().map(|redirect| redirect.place),
        route.respond.as_ref().map(|respond| respond.place),
        route.mock.as_ref().map(|mock| mock.place),
    ];
    let given: Vec<Place> = actions.into_iter().flatten().collect();
    match given.as_slice() {
        [] => {
            problems.error(key.place, "the route does nothing").hint(
                "write `to: http://10.0.0.1:8080`, the name of an upstream, `combine:`, `batch:`, `redirect:`, `respond:` or `mock:`",
            );
        }
        [_] => {}
        [first, second, ..] => {
            problems
                .error(*second, "a route has exactly one of `to`, `combine`, `batch`, `redirect`, `respond` and `mock`")
                .related(*first, "the first is here");
        }
    }
    if let Some(sticky) = route.sticky.as_ref().filter(|_| route.to.is_none()) {
        problems.error(sticky.place, "`sticky` keeps requests at one of several upstreams, and there is none here");
    }
    if let Some(OrOff::On(mirror)) = route.mirror.as_ref().filter(|_| route.to.is_none()) {
        problems.error(mirror.to.place, "`mirror` copies what goes to an upstream, and there is none here");
    }
    if let Some(OrOff::On(websocket)) = route.websocket.as_ref().filter(|_| route.to.is_none()) {
        problems.error(websocket.place, "`websocket` is for what an upstream speaks, and there is none here");
    }
    if let Some(OrOff::On(graphql)) = route.graphql.as_ref().filter(|_| route.to.is_none()) {
        problems.error(graphql.place, "`graphql` guards what goes to an upstream, and there is none here");
    }
    if let Some(OrOff::On(events)) = route.events.as_ref().filter(|_| route.to.is_none()) {
        problems.error(events.place, "`events` is for what an upstream streams, and there is none here");
    }
    if let Some(OrOff::On(hedge)) = route.hedge.as_ref().filter(|_| route.to.is_none()) {
        problems.error(hedge.after.place, "`hedge` asks an upstream twice, and there is none here");
    }
    if let Some(OrOff::On(fallback)) = route.fallback.as_ref().filter(|_| route.to.is_none()) {
        problems.error(fallback.place, "`fallback` stands in for an upstream, and there is none here");
    }
    if let Some(rewrite) = route.rewrite.as_ref().filter(|_| route.to.is_none()) {
        problems.error(rewrite.place, "`rewrite` changes the path an upstream sees, and there is none here");
    }
    let changed = route.request.as_ref().and_then(OrOff::on).and_then(|rules| rules.first());
    if let Some(rule) = changed.filter(|_| route.to.is_none()) {
        problems.error(rule.place, "`request` changes what an upstream sees, and there is none here");
    }
    let calls = route.combine.as_ref().map(|combine| ("the calls of a `combine`", combine.place));
    let made = calls.or(route.batch.as_ref().map(|batch| ("the requests of a `batch`", batch.place)));
    if let Some((what, place)) = made {
        let written = [
            ("cache", route.cache.is_some()),
            ("preserve_host", route.preserve_host.is_some()),
            ("strip", route.strip.is_some()),
        ];
        for (name, _) in written.into_iter().filter(|(_, written)| *written) {
            problems
                .error(place, format!("`{name}` has no effect on {what}"))
                .hint("leave it out; each of them says its own path, fields and body");
        }
    }
    faces(route, problems);
    if let Some(redirect) = &route.redirect
        && !matches!(redirect.status.value, 301 | 302 | 303 | 307 | 308)
    {
        problems.error(redirect.status.place, "a redirect's status is 301, 302, 303, 307 or 308");
    }
}

/// What else than its own protocol an upstream is made to speak.
fn faces(route: &RouteConfig, problems: &mut Problems) {
    if let Some(grpc) = &route.grpc {
        beside_calls((grpc.place, "grpc"), route, problems);
        within_grpc(grpc, problems);
    }
    if let Some(socket) = &route.socket {
        beside_calls((socket.place, "socket"), route, problems);
        let others = [("grpc", route.grpc.is_some()), ("message", route.message.is_some())];
        for (name, _) in others.into_iter().filter(|(_, written)| *written) {
            problems.error(socket.place, format!("`socket` and `{name}` make two different things of the upstream"));
        }
    }
    if let Some(message) = &route.message {
        beside_calls((message.place, "message"), route, problems);
    }
}

/// What has no meaning for calls that the gateway makes itself.
fn beside_calls((place, own): (Place, &str), route: &RouteConfig, problems: &mut Problems) {
    let written = [
        ("cache", route.cache.is_some()),
        ("fallback", route.fallback.is_some()),
        ("graphql", matches!(route.graphql, Some(OrOff::On(_)))),
        ("hedge", route.hedge.is_some()),
        ("mirror", route.mirror.is_some()),
        ("preserve_host", route.preserve_host.is_some()),
        ("request", route.request.is_some()),
        ("rewrite", route.rewrite.is_some()),
        ("sticky", route.sticky.is_some()),
        ("strip", route.strip.is_some()),
    ];
    for (name, _) in written.into_iter().filter(|(_, written)| *written) {
        problems
            .error(place, format!("`{name}` has no effect on the calls of `{own}`"))
            .hint("leave it out; the message is made of the request as it came");
    }
}

/// What does not go together in a `grpc`.
fn within_grpc(grpc: &Spanned<GrpcConfig>, problems: &mut Problems) {
    let ruled = grpc.rules.as_ref().is_some_and(|rules| rules.value);
    if let Some(rules) = grpc.rules.as_ref().filter(|rules| !rules.value) {
        problems.error(rules.place, "`rules: false` makes no routes").hint("leave it out, and write `method`");
    }
    if let Some(method) = grpc.method.as_ref().filter(|_| ruled) {
        problems.error(method.place, "`grpc` has exactly one of `method` and `rules`");
    }
    if grpc.clients == GrpcClientsConfig::Grpc && !ruled {
        problems
            .error(grpc.place, "clients of gRPC are answered by the rules of the schema")
            .hint("write `rules: true` beside `clients: grpc`");
    }
    let of_method = [("path", &grpc.path), ("body", &grpc.body), ("response_body", &grpc.response_body)];
    for (name, written) in of_method {
        if let Some(text) = written.as_ref().filter(|_| ruled) {
            problems.error(text.place, format!("`{name}` stands in the rules of the schema"));
        }
    }
    if let Some(service) = grpc.service.first().filter(|_| !ruled) {
        problems.error(service.place, "`service` chooses services for `rules`, and there are none here");
    }
    if grpc.proto.is_empty() {
        problems
            .error(grpc.place, "`grpc` knows no messages")
            .hint("write `proto: protos/shop.proto`, or a descriptor set");
    }
    if let Some(most) = grpc.most.as_ref().filter(|most| !(1..=1 << 30).contains(&most.get())) {
        problems.error(most.place, "`most` is from 1B to 1GiB");
    }
}
