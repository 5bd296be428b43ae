//! `introspection:` over real sockets, with a provider that behaves and with one that does not.

use crate::support::client::{Request, Response};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin, Request as Asked};
use crate::support::ports;
use crate::support::tls::{Authority, H1};
use std::time::{SystemTime, UNIX_EPOCH};

/// An opaque value in the form a provider takes.
const SECRET: &str = "client secret&1";

fn configuration(url: &str, extra: &str, upstream: &Origin) -> String {
    format!(
        "auth:\n  token:\n    introspection:\n      url: {url}/introspect\n      client_id: gw\n      \
         client_secret: {{ value: \"{SECRET}\", insecure_inline: true }}\n      insecure: true\n      {extra}\n\
         consumers: {{ acme: {{ jwt_subject: u7, groups: [partners] }} }}\n\
         routes:\n  /a: {{ auth: token, to: {0} }}\n  /open: {{ auth: {{ any: token, anonymous: true }}, to: {0} }}\n",
        upstream.url()
    )
}

/// The token of a question.
fn token(asked: &Asked) -> String {
    let body = String::from_utf8(asked.body.clone()).unwrap();
    body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap().to_owned()
}

fn active(claims: &str) -> Answer {
    Answer::ok(format!("{{\"active\":true{claims}}}")).header("Content-Type", "application/json")
}

fn with(gateway: &Gateway, token: &str) -> Response {
    gateway.send(&Request::get("/a").header("Authorization", &format!("Bearer {token}")))
}

fn told(answer: &Response, name: &str) -> Vec<String> {
    let echo = answer.json();
    let fields = echo["headers"].as_array().unwrap().iter();
    fields
        .filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

fn in_seconds(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

#[test]
fn a_good_token_passes_is_asked_about_once_and_ends_here() {
    let claims =
        format!(r#","sub":"u7","scope":"a b","jti":"j1","tier":"gold","groups":["x"],"exp":{}"#, in_seconds(60));
    let (provider, upstream) = (Origin::start(move |_| active(&claims)), Origin::echo());
    let extra = "groups: groups\n      headers: { tier: X-Tier }\n      token_type_hint: access_token";
    let gateway = Gateway::start(&configuration(&provider.url(), extra, &upstream));
    for _ in 0..3 {
        let request = Request::get("/a").header("Authorization", "Bearer a+b/c=").header("X-Tier", "platinum");
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200);
        assert_eq!(told(&answer, "x-consumer-id"), ["acme"]);
        assert_eq!(told(&answer, "x-consumer-groups"), ["partners,x"]);
        assert_eq!(told(&answer, "x-credential-id"), ["j1"]);
        assert_eq!(told(&answer, "x-tier"), ["gold"]);
        assert_eq!(told(&answer, "Authorization"), Vec::<String>::new());
    }
    let asked = provider.only_request();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/introspect"));
    assert_eq!(String::from_utf8_lossy(&asked.body), "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
    // RFC 6749 §2.3.1: "gw" and "client+secret%261" by HTTP Basic.
    assert_eq!(asked.header("authorization"), Some("Basic Z3c6Y2xpZW50K3NlY3JldCUyNjE="));
}

#[test]
fn an_inactive_token_is_401_with_a_challenge_and_asked_about_once() {
    let (provider, upstream) = (Origin::start(|_| Answer::ok("{\"active\":false}")), Origin::echo());
    let gateway = Gateway::start(&configuration(&provider.url(), "realm: shop", &upstream));
    for _ in 0..3 {
        let answer = with(&gateway, "bad");
        assert_eq!((answer.status, &answer.json()["type"]), (401, &"urn:tollgate:problem:bad-credentials".into()));
        let challenge = r#"Bearer realm="shop", error="invalid_token", error_description="The token is not active.""#;
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
    }
    assert_eq!(provider.requests().len(), 1);
    assert_eq!(gateway.get("/a").header("www-authenticate"), Some(r#"Bearer realm="shop""#));
    // What is refused is refused even where nothing would pass.
    assert_eq!(gateway.get("/open").status, 200);
    assert_eq!(gateway.send(&Request::get("/open").header("Authorization", "Bearer bad")).status, 401);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_provider_that_does_not_answer_as_it_should_is_503_and_is_asked_again() {
    let provider = Origin::start(|asked| match token(asked).as_str() {
        "garbage" => Answer::ok("<html>"),
        "string" => Answer::ok(r#"{"active":"true","sub":"u7"}"#),
        "number" => Answer::ok(r#"{"active":1,"sub":"u7"}"#),
        "none" => Answer::ok(r#"{"sub":"u7"}"#),
        "list" => Answer::ok(r#"[{"active":true,"sub":"u7"}]"#),
        "huge" => active(&format!(r#","sub":"u7","x":"{}""#, "x".repeat(70_000))),
        "deep" => Answer::ok(format!(r#"{{"active":true,"sub":"u7","x":{}{}}}"#, "[".repeat(9000), "]".repeat(9000))),
        "exp" => active(r#","sub":"u7","exp":"never""#),
        "error" => Answer::status(500).body(r#"{"active":true,"sub":"u7"}"#),
        "denied" => Answer::status(401),
        "moved" => Answer::status(302).header("Location", "/elsewhere"),
        "raw" => Answer::raw("\0\0\0\0"),
        "reset" => Answer::none(Ending::Reset),
        "cut" => Answer::ok(r#"{"active":true,"sub":"u7"}"#).cut_after(60, Ending::Close),
        other => panic!("{other}"),
    });
    let upstream = Origin::echo();
    let gateway = Gateway::start(&configuration(&provider.url(), "", &upstream));
    let all = "garbage string number none list huge deep exp error denied moved raw reset cut";
    for token in all.split(' ') {
        let answer = with(&gateway, token);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{token}");
    }
    let before = provider.requests().len();
    assert_eq!(with(&gateway, "garbage").status, 503);
    assert_eq!((provider.requests().len(), upstream.requests().len()), (before + 1, 0));
}

#[test]
fn a_provider_that_is_slow_or_gone_is_503() {
    let upstream = Origin::echo();
    let slow = Origin::start(|_| Answer::none(Ending::Stall));
    let gateway = Gateway::start(&configuration(&slow.url(), "timeout: 50ms", &upstream));
    assert_eq!(with(&gateway, "t").status, 503);
    let gone = format!("http://{}", ports::free());
    let gateway = Gateway::start(&configuration(&gone, "", &upstream));
    assert_eq!(with(&gateway, "t").status, 503);
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn many_requests_with_one_token_are_one_question() {
    let (gate, upstream) = (Gate::default(), Origin::echo());
    let held = gate.clone();
    let provider = Origin::start(move |_| {
        assert!(held.pass());
        active(r#","sub":"u7""#)
    });
    let gateway = Gateway::start(&configuration(&provider.url(), "timeout: 9s", &upstream));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(|| with(&gateway, "t").status)).collect();
        gate.await_arrivals(1);
        gateway.await_metric("tollgate_requests_in_flight", &[], 20.0);
        gate.open();
        assert!(clients.into_iter().all(|client| client.join().unwrap() == 200));
    });
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn what_a_token_says_of_its_caller_cannot_break_out() {
    let claims = r#","sub":"eve\r\nX-Consumer-Groups: admin","tier":"a\nX-Admin: 1","scope":"s""#;
    let (provider, upstream) = (Origin::start(move |_| active(claims)), Origin::echo());
    let gateway = Gateway::start(&configuration(&provider.url(), "headers: { tier: X-Tier }", &upstream));
    let answer = with(&gateway, "t");
    assert_eq!(told(&answer, "x-consumer-id"), ["eve%0D%0AX-Consumer-Groups: admin"]);
    assert_eq!(told(&answer, "x-tier"), ["a%0AX-Admin: 1"]);
    assert!(told(&answer, "x-consumer-groups").is_empty() && told(&answer, "x-admin").is_empty());
}

#[test]
fn tokens_that_are_none_are_never_asked_about() {
    let (provider, upstream) = (Origin::start(|_| active(r#","sub":"u7""#)), Origin::echo());
    let gateway = Gateway::start(&configuration(&provider.url(), "token_format: opaque", &upstream));
    let long = "x".repeat(8193);
    for token in ["", "a b", "a\tb", "\u{e4}", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1NyJ9.", &long] {
        assert_eq!(with(&gateway, token).status, 401, "{token}");
    }
    let twice = Request::get("/a").header("Authorization", "Bearer a").header("Authorization", "Bearer b");
    assert_eq!(gateway.send(&twice).status, 400);
    assert_eq!((provider.requests().len(), upstream.requests().len()), (0, 0));
}

#[test]
fn a_token_may_stand_in_a_cookie_or_in_the_query() {
    let upstream = Origin::echo();
    let provider = Origin::start(|_| active(r#","sub":"u7""#));
    let gateway = Gateway::start(&configuration(&provider.url(), "from: cookie session", &upstream));
    let answer = gateway.send(&Request::get("/a").header("Cookie", "a=1; session=t; b=2"));
    assert_eq!((answer.status, told(&answer, "Cookie")), (200, vec!["a=1; b=2".to_owned()]));
    for cookies in ["session=t; session=u", "session=t;session=t"] {
        assert_eq!(gateway.send(&Request::get("/a").header("Cookie", cookies)).status, 400, "{cookies}");
    }
    for cookies in ["Session=t", "xsession=t", "a=session=t", "session"] {
        assert_eq!(gateway.send(&Request::get("/a").header("Cookie", cookies)).status, 401, "{cookies}");
    }
    let gateway = Gateway::start(&configuration(&provider.url(), "from: query access_token", &upstream));
    let answer = gateway.get("/a?x=1&access_token=t&y=2");
    assert_eq!((answer.status, answer.json()["target"].as_str()), (200, Some("/a?x=1&y=2")));
    assert_eq!(gateway.get("/a?access_token=t&%61ccess_token=u").status, 400);
}

#[test]
fn a_token_that_has_expired_or_is_for_another_is_401() {
    let provider = Origin::start(|asked| match token(asked).as_str() {
        "old" => active(r#","sub":"u7","aud":"orders","iss":"i","exp":1000"#),
        "early" => active(r#","sub":"u7","aud":"orders","iss":"i","nbf":99999999999"#),
        "other" => active(r#","sub":"u7","aud":["carts"],"iss":"i""#),
        "issuer" => active(r#","sub":"u7","aud":"orders","iss":"j""#),
        "nobody" => active(r#","aud":"orders","iss":"i""#),
        _ => active(r#","sub":"u7","aud":["carts","orders"],"iss":"i""#),
    });
    let upstream = Origin::echo();
    let gateway = Gateway::start(&configuration(&provider.url(), "audience: orders\n      issuer: i", &upstream));
    for token in ["old", "early", "other", "issuer", "nobody"] {
        assert_eq!(with(&gateway, token).status, 401, "{token}");
    }
    assert_eq!(with(&gateway, "old").json()["type"], "urn:tollgate:problem:expired-token");
    assert_eq!(with(&gateway, "good").status, 200);
}

#[test]
fn what_was_learnt_survives_a_reload_that_leaves_the_provider_as_it_is() {
    let (provider, upstream) = (Origin::start(|_| active(r#","sub":"u7""#)), Origin::echo());
    let before = configuration(&provider.url(), "", &upstream);
    let gateway = Gateway::start(&before);
    assert_eq!(told(&with(&gateway, "t"), "x-consumer-id"), ["acme"]);
    // Consumers are looked up anew, the provider is not asked again.
    gateway.change(&before.replace("acme", "emca"));
    assert_eq!(told(&with(&gateway, "t"), "x-consumer-id"), ["emca"]);
    assert_eq!(provider.requests().len(), 1);
    for changed in [before.replace("client_id: gw", "client_id: gx"), before.replace(SECRET, "other secret")] {
        let asked = provider.requests().len();
        gateway.change(&changed);
        assert_eq!(with(&gateway, "t").status, 200);
        assert_eq!(provider.requests().len(), asked + 1);
    }
}

#[test]
fn only_a_provider_with_a_certificate_of_the_authority_is_believed() {
    let (authority, stranger, upstream) = (Authority::new(), Authority::new(), Origin::echo());
    let identity = authority.server("idp", &["localhost"]);
    let provider = Origin::start_tls(authority.acceptor(&identity, H1), |_| active(r#","sub":"u7""#));
    let url = format!("https://localhost:{}", provider.address().port());
    let with_ca = |ca: &str| configuration(&url, ca, &upstream).replace("insecure: true\n", "\n");
    let own = with_ca(&format!("ca: {}", authority.certificate().display()));
    let gateway = Gateway::start(&own);
    assert_eq!(with(&gateway, "t").status, 200);
    // The connection that was made lies idle; nobody who does not believe it may use it.
    for other in [with_ca(&format!("ca: {}", stranger.certificate().display())), with_ca("")] {
        gateway.change(&other);
        assert_eq!(with(&gateway, "u").status, 503);
    }
    gateway.change(&own);
    assert_eq!(with(&gateway, "v").status, 200);
}
