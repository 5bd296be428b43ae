//! Who may open a connection, by tables of cases.

use super::*;
use crate::policy::tests::{messages, metrics, try_written, with_setup, written};
use crate::policy::{ChainBuilder, Progress, limit::Scope};
use crate::request::{Caller, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};

fn door(origins: Option<&str>, token: Token) -> Door {
    let patterns: Option<Vec<crate::policy::cors::OriginPattern>> =
        origins.map(|text| text.split(' ').map(|one| one.parse().unwrap()).collect());
    let any = || crate::websocket::LaneRules::ANY;
    Door {
        origins: patterns.map(|patterns| Origins::new(patterns.iter())),
        token,
        rules: Arc::new(Rules { client: any(), upstream: any(), idle: None, ping: None, life: None }),
        metrics: metrics().sockets("/chat"),
    }
}

fn fields(written: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "shop.example"), ("upgrade", "websocket")].iter().chain(written) {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn view(headers: &mut HeaderMap) -> RequestView<'_> {
    RequestView { method: "GET", host: "shop.example", path: "/chat", query: None, headers }
}

fn refused(door: &Door, written: &[(&str, &str)]) -> Option<Reason> {
    let mut cx = RequestCx { scheme: Scheme::Https, ..RequestCx::at(0) };
    let mut headers = fields(written);
    door.on_request(&mut cx, &mut view(&mut headers)).refusal().map(|reply| reply.reason)
}

#[test]
fn pages_of_other_sites_may_not_use_the_cookies_of_this_one() {
    const COOKIE: (&str, &str) = ("cookie", "session=1");
    let own = ("origin", "https://shop.example");
    let evil = ("origin", "https://evil.example");
    let door = door(None, Token::Ignored);
    for (refusal, written) in [
        (false, &[COOKIE, own][..]),
        (true, &[COOKIE, evil]),
        (true, &[COOKIE, ("origin", "null")]),
        (true, &[COOKIE, ("origin", "http://shop.example")]),
        (true, &[COOKIE, own, ("sec-fetch-site", "cross-site")]),
        (false, &[COOKIE]),
        (false, &[evil]),
    ] {
        assert_eq!(refused(&door, written), refusal.then_some(Reason::OriginDenied), "{written:?}");
    }
}

#[test]
fn where_origins_are_listed_no_other_page_may_connect_with_or_without_a_cookie() {
    let door = door(Some("https://app.example https://*.shop.example"), Token::Ignored);
    for (refusal, written) in [
        (false, &[("origin", "https://app.example")][..]),
        (false, &[("origin", "https://a.shop.example"), ("cookie", "a=b")]),
        (false, &[("origin", "https://shop.example")]),
        (true, &[("origin", "https://evil.example")]),
        (true, &[("origin", "https://app.example.evil.example")]),
        (true, &[("origin", "null")]),
        (false, &[]),
    ] {
        assert_eq!(refused(&door, written), refusal.then_some(Reason::OriginDenied), "{written:?}");
    }
}

#[test]
fn other_requests_are_left_alone() {
    let door = door(Some("https://app.example"), Token::Taken);
    let (mut cx, mut headers) = (RequestCx::at(0), fields(&[("origin", "https://evil.example")]));
    headers.remove("upgrade");
    assert!(door.on_request(&mut cx, &mut view(&mut headers)).is_continue());
    assert!(cx.changes.socket.is_none());
}

#[test]
fn a_token_among_the_subprotocols_becomes_the_credential() {
    let door = door(None, Token::Taken);
    let (mut cx, mut headers) = (RequestCx::at(0), fields(&[("sec-websocket-protocol", "bearer, a.b, chat")]));
    assert!(door.on_request(&mut cx, &mut view(&mut headers)).is_continue());
    assert_eq!(headers.get("authorization").unwrap(), "Bearer a.b");
    assert_eq!(headers.get("sec-websocket-protocol").unwrap(), "chat");
    assert_eq!(cx.changes.socket.unwrap().announced.unwrap(), "bearer");
    let protocol = ("sec-websocket-protocol", "bearer, a");
    assert_eq!(refused(&door, &[protocol, ("authorization", "Bearer b")]), Some(Reason::AmbiguousCredentials));
    assert_eq!(refused(&door, &[("sec-websocket-protocol", "bearer")]), Some(Reason::BadCredentials));
    let both = [protocol, ("sec-websocket-protocol", "bearer, b")];
    assert_eq!(refused(&door, &both), Some(Reason::AmbiguousCredentials));
}

#[test]
fn a_token_that_nobody_has_asked_for_stays_where_it_is() {
    let door = door(None, Token::Ignored);
    let (mut cx, mut headers) = (RequestCx::at(0), fields(&[("sec-websocket-protocol", "bearer, a.b")]));
    assert!(door.on_request(&mut cx, &mut view(&mut headers)).is_continue());
    assert!(!headers.contains_key("authorization"));
    assert_eq!(headers.get("sec-websocket-protocol").unwrap(), "bearer, a.b");
}

/// Runs the whole policy on a handshake of that caller; the seats it holds go with the context.
fn attached(yaml: &str) -> crate::policy::Chain {
    let config: WebSocketConfig = written(yaml);
    let mut chain = ChainBuilder::default();
    let scope = Scope { level: "route /chat", route: "/chat", api: "", captures: &[] };
    let ((), problems, _) = with_setup("".as_ref(), |setup| config.attach(None, scope, &mut chain, setup));
    assert_eq!(messages(&problems), Vec::<String>::new());
    chain.build()
}

fn enter(chain: &crate::policy::Chain, caller: &str) -> Result<RequestCx, Reason> {
    let mut cx = RequestCx::at(1_000);
    cx.identity.caller = Some(Arc::new(Caller { id: caller.into(), expires: Some(1_060), ..Caller::default() }));
    let mut headers = fields(&[]);
    let decision = chain.on_request(&mut Progress::default(), &mut cx, &mut view(&mut headers));
    decision.refusal().map_or(Ok(()), |reply| Err(reply.reason)).map(|()| cx)
}

#[test]
fn each_caller_has_so_many_connections_and_gets_one_back_when_one_ends() {
    let chain = attached("{ connections: 2 per consumer }");
    let (one, _two) = (enter(&chain, "acme").unwrap(), enter(&chain, "acme").unwrap());
    assert_eq!(enter(&chain, "acme").unwrap_err(), Reason::TooManyInFlight);
    assert!(enter(&chain, "beta").is_ok());
    drop(one);
    assert!(enter(&chain, "acme").is_ok());
}

#[test]
fn the_connection_ends_with_the_credentials_unless_that_is_ignored() {
    let ends = |yaml| {
        let cx = enter(&attached(yaml), "acme").unwrap();
        let expires = cx.changes.socket.unwrap().expires;
        expires.map(|expires| expires - cx.time.started)
    };
    assert_eq!(ends("true"), Some(Duration::from_secs(60)));
    assert_eq!(ends("{ expiry: ignore }"), None);
}

#[test]
fn what_is_written_becomes_rules() {
    let config: WebSocketConfig = written(
        "{ from_client: { message: 1MiB, messages: 60/min, bytes: 1MiB/s burst 2MiB }, ping: 30s, life: 2h, idle: \"off\" }",
    );
    let mut chain = ChainBuilder::default();
    let scope = Scope { level: "route /chat", route: "/chat", api: "", captures: &[] };
    with_setup("".as_ref(), |setup| config.attach(None, scope, &mut chain, setup));
    let chain = chain.build();
    let cx = enter(&chain, "acme").unwrap();
    let rules = &cx.changes.socket.as_ref().unwrap().rules;
    assert_eq!((rules.client.message, rules.client.frame, rules.upstream.message), (1 << 20, u64::MAX, u64::MAX));
    assert_eq!(rules.client.messages, Some(crate::websocket::Pace { per_second: 1.0, burst: 60.0 }));
    assert_eq!(rules.ping.map(|ping| (ping.every.as_secs(), ping.pong.as_secs())), Some((30, 10)));
    assert_eq!((rules.idle, rules.life), (None, Some(Duration::from_secs(7_200))));
    assert_eq!(
        chain.describe(),
        [
            "websocket with cookies from its own pages only",
            "websocket connections: from clients messages to 1MiB, 60/min messages, 1MiB/s burst 2MiB; ping after 30s of \
             silence, answered within 10s; life 2h"
        ]
    );
}

#[test]
fn what_cannot_be_is_said_with_what_to_write_instead() {
    for yaml in [
        "maybe",
        "{ origins: shop.example }",
        "{ connections: many }",
        "{ connections: 5 per moon }",
        "{ from_client: { bytes: 64/s } }",
        "{ ping: 30 }",
        "{ idle: never }",
        "{ size: 1MiB }",
    ] {
        assert!(try_written::<WebSocketConfig>(yaml).is_err(), "{yaml}");
    }
    for (yaml, problem) in [
        ("{ connections: 0 per consumer }", "`connections` are from 1 to"),
        ("{ idle: 0s }", "no time at all"),
        ("{ ping: 0s }", "no time at all"),
        ("{ from_client: { message: 0B } }", "nothing could come"),
        ("{ from_client: { message: 2MiB, bytes: 1MiB/s } }", "a frame of 2MiB never passes"),
        ("{ connections: 5 per capture id }", "no capture `id`"),
    ] {
        let config: WebSocketConfig = written(yaml);
        let scope = Scope { level: "route /chat", route: "/chat", api: "", captures: &[] };
        let ((), problems, _) =
            with_setup("".as_ref(), |setup| config.attach(None, scope, &mut ChainBuilder::default(), setup));
        let said = messages(&problems);
        assert!(said.len() == 1 && said[0].contains(problem), "{yaml}: {said:?}");
    }
}
