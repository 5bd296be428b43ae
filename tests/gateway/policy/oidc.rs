//! `oidc:` with a provider of the tests' own and a browser that keeps cookies.

use serde_json::{Value, json};

use crate::support::client::{Request, Response, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::openid::browser::{Browser, location, split};
use crate::support::openid::{CLIENT, Provider, SECRET, pairs};
use crate::support::origin::Origin;
use crate::support::wait;

const COOKIE_SECRET: &str = "a cookie secret of the tests, 32+ bytes";
const SESSION: &str = "__Host-tollgate_web";

fn config(provider: &Provider, origin: &Origin, oidc: &str) -> String {
    let secret = |text: &str| format!("{{ value: \"{text}\", insecure_inline: true }}");
    let cookie = if oidc.contains("cookie:") {
        String::new()
    } else {
        format!(", cookie: {{ secret: {} }}", secret(COOKIE_SECRET))
    };
    format!(
        "auth: {{ web: {{ oidc: {{ issuer: {issuer}, insecure: true, client_id: {CLIENT}, client_secret: {client}, \
         scopes: [email], groups: roles, headers: {{ X-User-Email: email }}, after_logout: /bye{cookie}{oidc} }} }} }}\n\
         routes:\n  /bye: {{ respond: {{ body: bye }} }}\n  /open: {{ auth: {{ any: web, anonymous: true }}, to: {origin} }}\n  \
         /kept: {{ auth: {{ any: web, forward_credentials: true }}, to: {origin} }}\n  /**: {{ auth: web, to: {origin} }}\n",
        issuer = provider.issuer(),
        client = secret(SECRET),
        origin = origin.url(),
    )
}

/// A gateway with a login in front of an echoing upstream.
struct Shop {
    provider: Provider,
    origin: Origin,
    gateway: Gateway,
}

impl Shop {
    fn open() -> Self {
        Self::with("")
    }

    fn with(oidc: &str) -> Self {
        let (provider, origin) = (Provider::start(), Origin::echo());
        let gateway = Gateway::start(&config(&provider, &origin, oidc));
        Self { provider, origin, gateway }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.gateway.address())
    }

    fn browser(&self) -> Browser {
        let secrets = [SECRET, COOKIE_SECRET].map(String::from).to_vec();
        Browser { secrets, ..Browser::default() }
    }

    /// A browser that has logged in.
    #[track_caller]
    fn logged_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = browser.open(&self.url("/"));
        assert_eq!(page.status, 200, "{page:#?}");
        browser
    }

    /// Sends a browser away and follows the provider back to the callback, without opening it: its URL.
    #[track_caller]
    fn callback(&self, browser: &mut Browser) -> String {
        let away = browser.visit(&self.url("/"), "none");
        let authorize = location("", &away).expect("a redirect to the provider");
        let back = browser.visit(&authorize, "cross-site");
        location(&authorize, &back).expect("a redirect back")
    }
}

/// What the upstream saw: the values of a field.
fn seen(page: &Response, name: &str) -> Vec<String> {
    let echoed = page.json();
    let pairs = echoed["headers"].as_array().expect("fields").iter();
    let same = |pair: &&Value| pair[0].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
    pairs.filter(same).map(|pair| pair[1].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn is_refused(page: &Response, status: u16, reason: &str) {
    assert_eq!(page.status, status, "{page:#?}");
    let proxy_status = page.header("proxy-status").unwrap_or_default();
    assert!(proxy_status.contains(&format!("details=\"{reason}\"")), "{page:#?}");
}

#[test]
fn a_browser_logs_in_and_comes_back_to_where_it_wanted_to_go() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let page = browser.open(&shop.url("/orders/7?x=1&y=%2F"));
    assert_eq!(page.json()["target"], "/orders/7?x=1&y=%2F");
    assert_eq!(seen(&page, "x-consumer-id"), ["user-7"]);
    assert_eq!(seen(&page, "x-consumer-groups"), ["staff,night"]);
    assert_eq!(seen(&page, "x-user-email"), ["ann@shop.example"]);
    assert_eq!(seen(&page, "cookie"), Vec::<String>::new());
    let names: Vec<&str> = browser.jar.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(names, [SESSION], "the login's own cookie is gone");
    // The next page needs nobody's word.
    let asked = shop.provider.asked("/token").len();
    assert_eq!(browser.open(&shop.url("/more")).status, 200);
    assert_eq!(shop.provider.asked("/token").len(), asked);
    // Whatever the provider gave stays between it and the gateway; codes alone pass through the browser.
    let everything = format!("{:?} {:?}", browser.set, shop.origin.requests());
    for given in &shop.provider.state().given {
        assert!(!everything.contains(given.as_str()), "{given}");
    }
}

#[test]
fn what_the_provider_is_asked_is_what_the_standards_say() {
    let shop = Shop::open();
    shop.logged_in();
    let authorize = shop.provider.asked("/authorize").remove(0);
    let asked = pairs(authorize.target.split_once('?').expect("a query").1);
    let get = |name: &str| asked[name].as_str();
    assert_eq!((get("response_type"), get("client_id"), get("scope")), ("code", CLIENT, "openid email"));
    assert_eq!((get("code_challenge_method"), get("code_challenge").len()), ("S256", 43));
    assert_eq!(get("redirect_uri"), shop.url("/oauth2/callback"));
    assert!(get("state").len() >= 22 && get("nonce").len() >= 22 && get("state") != get("nonce"));
    assert!(!asked.contains_key("client_secret"));
    let redeemed = shop.provider.asked("/token").remove(0);
    let form = pairs(&String::from_utf8_lossy(&redeemed.body));
    assert_eq!((form["grant_type"].as_str(), form.contains_key("client_secret")), ("authorization_code", false));
}

#[test]
fn a_provider_that_only_takes_the_form_gets_the_secret_there() {
    let (provider, origin) = (Provider::start(), Origin::echo());
    provider.behave(|manners| manners.posts = true);
    let gateway = Gateway::start(&config(&provider, &origin, ""));
    let page = Browser::default().open(&format!("http://{}/", gateway.address()));
    assert_eq!(page.status, 200, "{page:#?}");
}

#[test]
fn only_pages_are_sent_to_log_in() {
    let shop = Shop::open();
    shop.logged_in(); // the endpoints are known from here on
    let send = |request: Request| shop.gateway.send(&request);
    let html = ("Accept", "text/html,*/*;q=0.8");
    assert_eq!(send(Request::get("/a").header(html.0, html.1)).status, 302);
    assert_eq!(send(Request::new("HEAD", "/a").header(html.0, html.1)).status, 302);
    assert_eq!(send(Request::get("/a").header(html.0, html.1).header("Sec-Fetch-Mode", "navigate")).status, 302);
    for request in [
        Request::get("/a"),
        Request::get("/a").header("Accept", "*/*"),
        Request::get("/a").header("Accept", "application/json"),
        Request::get("/a").header(html.0, html.1).header("Sec-Fetch-Mode", "cors"),
        Request::get("/a").header(html.0, html.1).header("Sec-Fetch-Mode", "no-cors"),
        Request::post("/a", "x").header(html.0, html.1),
        Request::new("PUT", "/a").header(html.0, html.1),
    ] {
        let answer = send(request.clone());
        assert_eq!(answer.status, 401, "{request:?}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some(&*format!("Cookie realm=\"web\", cookie-name=\"{SESSION}\"")));
        assert!(answer.headers("set-cookie").is_empty());
    }
}

#[test]
fn a_replayed_answer_is_refused_even_with_its_cookie() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let copied = browser.clone();
    assert_eq!(browser.open(&callback).status, 200);
    // The same browser has lost the cookie; a copy of it has not.
    let mut again = browser.clone();
    again.jar.retain(|cookie| cookie.name != SESSION);
    is_refused(&again.visit(&callback, "none"), 400, "login-failed");
    let mut copy = copied;
    is_refused(&copy.visit(&callback, "none"), 400, "login-failed");
    assert_eq!(shop.provider.state().redeemed, 1, "the code was not even presented again");
    assert_eq!(shop.provider.asked("/token").len(), 1);
}

#[test]
fn an_answer_counts_only_in_the_browser_that_asked() {
    let shop = Shop::open();
    let (mut victim, mut attacker) = (shop.browser(), shop.browser());
    let callback = shop.callback(&mut attacker);
    // Without any cookie, and with that of a login of its own.
    is_refused(&victim.visit(&callback, "cross-site"), 400, "login-failed");
    shop.callback(&mut victim);
    is_refused(&victim.visit(&callback, "cross-site"), 400, "login-failed");
    assert!(victim.cookies(SESSION).iter().all(|cookie| cookie.name != SESSION));
    // Its own cookie under the name of the attacker's.
    let state = pairs(callback.split_once('?').expect("a query").1)["state"].clone();
    for cookie in &mut victim.jar {
        cookie.name = format!("{SESSION}.login.{}", &state[..8]);
    }
    is_refused(&victim.visit(&callback, "cross-site"), 400, "login-failed");
    assert!(shop.provider.asked("/token").is_empty());
}

#[test]
fn a_changed_answer_is_refused() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let (path, query) = callback.split_once('?').expect("a query");
    let given = pairs(query);
    let with = |changes: &[(&str, &str)]| {
        let mut all = given.clone();
        for (name, value) in changes {
            all.insert((*name).into(), (*value).into());
        }
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(all.iter().filter(|(_, value)| !value.is_empty()));
        format!("{path}?{}", text.finish())
    };
    let state = &given["state"];
    let longer = format!("{state}x");
    let same_beginning = format!("{}{}", &state[..8], "A".repeat(state.len() - 8));
    for changed in [
        with(&[("state", "")]),
        with(&[("state", "other")]),
        with(&[("state", &longer)]),
        with(&[("state", &same_beginning)]),
        with(&[("state", "ä")]),
        format!("{callback}&state={state}"),
        format!("{callback}&code=other"),
        format!("{callback}&iss=https://evil.example"),
        path.to_owned(),
        format!("{path}?"),
    ] {
        let mut copy = browser.clone();
        is_refused(&copy.visit(&changed, "cross-site"), 400, "login-failed");
    }
    assert_eq!(shop.gateway.send(&Request::post(&split(&callback).1, "x")).status, 405);
    assert!(shop.provider.asked("/token").is_empty());
    assert_eq!(browser.open(&callback).status, 200, "none of that has used it up");
}

#[test]
fn an_answer_from_another_provider_is_refused() {
    for iss in ["https://evil.example", ""] {
        let shop = Shop::open();
        shop.provider.behave(|manners| manners.iss = Some(iss.into()));
        is_refused(&shop.browser().open(&shop.url("/")), 400, "login-failed");
        assert!(shop.provider.asked("/token").is_empty(), "{iss:?}: the code went nowhere");
    }
}

#[test]
fn an_id_token_that_is_not_as_it_must_be_logs_nobody_in() {
    for claims in [
        json!({ "nonce": "other" }),
        json!({ "nonce": null }),
        json!({ "iss": "https://evil.example" }),
        json!({ "aud": "other" }),
        json!({ "aud": [CLIENT, "other"], "azp": "other" }),
        json!({ "exp": 1 }),
        json!({ "exp": null }),
        json!({ "sub": null }),
        json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
    ] {
        let shop = Shop::open();
        shop.provider.behave(|manners| manners.claims = claims.as_object().expect("claims").clone());
        let mut browser = shop.browser();
        is_refused(&browser.open(&shop.url("/")), 400, "login-failed");
        assert!(browser.jar.is_empty(), "{claims}: {:?}", browser.jar);
    }
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.stranger = true);
    is_refused(&shop.browser().open(&shop.url("/")), 400, "login-failed");
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.no_id_token = true);
    is_refused(&shop.browser().open(&shop.url("/")), 503, "provider-unavailable");
}

#[test]
fn what_a_provider_refuses_is_said_without_its_words() {
    for (error, status, reason) in [
        ("access_denied", 400, "login-failed"),
        ("<script>alert(1)</script>", 400, "login-failed"),
        ("temporarily_unavailable", 503, "provider-unavailable"),
    ] {
        let shop = Shop::open();
        shop.provider.behave(|manners| manners.error = Some(error.into()));
        let mut browser = shop.browser();
        let page = browser.open(&shop.url("/"));
        is_refused(&page, status, reason);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(!page.text().contains("alert") && !page.text().contains("access_denied"), "{}", page.text());
        assert!(browser.jar.is_empty(), "{error}");
    }
}

#[test]
fn places_that_could_lead_elsewhere_are_never_gone_back_to() {
    let shop = Shop::open();
    for target in ["//evil.example/", "/%2e/%2e%2e//evil.example", "///evil.example", "/?next=//evil.example", "/%09/x"]
    {
        let mut browser = shop.browser();
        let away = browser.visit(&shop.url(target), "none");
        if away.status != 302 {
            continue; // refused before anybody was sent anywhere
        }
        let page = browser.open(&shop.url(target));
        assert_eq!(page.status, 200, "{target}: {page:#?}");
        let own = shop.gateway.address().to_string();
        let provider = split(&shop.provider.issuer()).0.to_string();
        assert!(browser.visited.iter().all(|place| *place == own || *place == provider), "{:?}", browser.visited);
    }
}

#[test]
fn two_tabs_log_in_at_once_and_many_are_bounded() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let (one, two) = (shop.callback(&mut browser), shop.callback(&mut browser));
    assert_eq!(browser.cookies(".login.").len(), 2);
    assert_eq!(browser.open(&two).status, 200);
    assert_eq!(browser.open(&one).status, 200);
    let mut browser = shop.browser();
    let callbacks: Vec<String> = (0..9).map(|_| shop.callback(&mut browser)).collect();
    assert_eq!(browser.cookies(".login.").len(), 5);
    assert_eq!(browser.open(callbacks.last().expect("nine")).status, 200);
}

#[test]
fn a_session_is_renewed_in_the_request_that_finds_it_expired() {
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.expires_in = Some(0));
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let back = browser.visit(&callback, "cross-site");
    assert_eq!((back.status, back.header("location")), (303, Some("/")));
    shop.provider.behave(|manners| {
        manners.expires_in = Some(3600);
        manners.claims = json!({ "email": "ann@new.example", "nonce": null }).as_object().expect("claims").clone();
    });
    let before = browser.cookies(SESSION)[0].value.clone();
    let page = browser.fetch(&shop.url("/"));
    assert_eq!((page.status, seen(&page, "x-user-email")), (200, vec!["ann@new.example".to_owned()]));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_ne!(browser.cookies(SESSION)[0].value, before);
    assert_eq!(browser.fetch(&shop.url("/")).status, 200);
    assert_eq!(shop.provider.state().renewed, 1);
}

#[test]
fn requests_that_come_together_share_one_renewal() {
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.expires_in = Some(0));
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    browser.visit(&callback, "cross-site");
    let gate = Gate::default();
    shop.provider.behave(|manners| {
        manners.expires_in = Some(3600);
        manners.held = Some(gate.clone());
    });
    std::thread::scope(|scope| {
        let pages: Vec<_> = (0..6)
            .map(|_| {
                let (mut copy, url) = (browser.clone(), shop.url("/"));
                scope.spawn(move || copy.fetch(&url).status)
            })
            .collect();
        gate.await_arrivals(1);
        gate.open();
        for page in pages {
            assert_eq!(page.join().expect("a page"), 200);
        }
    });
    // And those that come a moment later with the old cookie.
    assert_eq!(browser.clone().fetch(&shop.url("/")).status, 200);
    let state = shop.provider.state();
    assert_eq!((state.renewed, state.reused), (1, 0));
}

#[test]
fn a_refused_renewal_is_a_login_again() {
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.expires_in = Some(0));
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    browser.visit(&callback, "cross-site");
    shop.provider.behave(|manners| {
        manners.expires_in = None;
        manners.refuses_refresh = true;
    });
    let mut script = browser.clone();
    is_refused(&script.fetch(&shop.url("/")), 401, "no-credentials");
    assert!(script.jar.is_empty(), "{:?}", script.jar);
    let page = browser.open(&shop.url("/deep?er=1"));
    assert_eq!((page.status, page.json()["target"].as_str()), (200, Some("/deep?er=1")));
}

#[test]
fn a_provider_that_is_down_is_503_and_a_session_needs_it_only_to_be_renewed() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    shop.provider.behave(|manners| manners.down = true);
    assert_eq!(browser.open(&shop.url("/")).status, 200);
    let mut other = shop.browser();
    // The endpoints are known, so a login begins; the provider fails the browser, or the gateway when it comes back.
    assert_eq!(other.visit(&shop.url("/"), "none").status, 302);
    let shop = Shop::open();
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    shop.provider.behave(|manners| manners.down = true);
    is_refused(&browser.visit(&callback, "cross-site"), 503, "provider-unavailable");
}

#[test]
fn a_provider_that_was_never_there_is_503_and_comes_to_life_later() {
    let (provider, origin) = (Provider::start(), Origin::echo());
    provider.behave(|manners| manners.down = true);
    let gateway = Gateway::start(&config(&provider, &origin, ""));
    let url = format!("http://{}/", gateway.address());
    is_refused(&Browser::default().open(&url), 503, "provider-unavailable");
    is_refused(&Browser::default().fetch(&url), 401, "no-credentials");
    provider.behave(|manners| manners.down = false);
    wait::until("the login works", || Browser::default().visit(&url, "none").status == 302);
    assert_eq!(Browser::default().open(&url).status, 200);
}

#[test]
fn a_provider_that_does_not_renew_is_503_and_the_session_is_kept() {
    let shop = Shop::open();
    shop.provider.behave(|manners| manners.expires_in = Some(0));
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    browser.visit(&callback, "cross-site");
    shop.provider.behave(|manners| {
        manners.expires_in = None;
        manners.down = true;
    });
    is_refused(&browser.fetch(&shop.url("/")), 503, "provider-unavailable");
    shop.provider.behave(|manners| manners.down = false);
    assert_eq!(browser.fetch(&shop.url("/")).status, 200);
}

#[test]
fn a_cookie_that_was_changed_is_none_and_is_taken_away() {
    let shop = Shop::open();
    let browser = shop.logged_in();
    let good = browser.cookies(SESSION)[0].value.clone();
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    };
    let mut changed: Vec<String> = (0..good.len()).step_by(37).map(flipped).collect();
    changed.extend([
        String::new(),
        "x".into(),
        good[..good.len() / 2].into(),
        format!("2~{good}"),
        format!("{good}AAAA"),
    ]);
    for value in changed {
        let mut copy = browser.clone();
        copy.jar[0].value = value.clone();
        is_refused(&copy.fetch(&shop.url("/")), 401, "no-credentials");
        assert!(copy.jar.is_empty(), "{value}");
    }
    let mut renamed = browser.clone();
    renamed.jar[0].name = format!("{SESSION}.login.AAAAAAAA");
    is_refused(&renamed.fetch(&shop.url("/")), 401, "no-credentials");
}

#[test]
fn sessions_hold_over_a_reload_and_at_a_second_gateway_and_secrets_rotate() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    let config_of = |cookie: &str| config(&shop.provider, &shop.origin, cookie);
    shop.gateway.change(&config_of(", session: { lasts: 7h }"));
    assert_eq!(browser.fetch(&shop.url("/")).status, 200);
    let second = Gateway::start(&config_of(""));
    let at_second = format!("http://{}/", second.address());
    assert_eq!(browser.fetch(&at_second).status, 200);
    let listed = |secrets: &[&str]| {
        let all: Vec<String> =
            secrets.iter().map(|text| format!("{{ value: \"{text}\", insecure_inline: true }}")).collect();
        config_of(&format!(", cookie: {{ secret: [{}] }}", all.join(", ")))
    };
    const NEW: &str = "another secret of the tests, 32+ bytes";
    second.change(&listed(&[NEW, COOKIE_SECRET]));
    assert_eq!(browser.fetch(&at_second).status, 200, "the old one still decrypts");
    let mut late = shop.browser();
    assert_eq!(late.open(&at_second).status, 200);
    second.change(&listed(&[NEW]));
    assert_eq!(late.fetch(&at_second).status, 200, "the new one encrypts");
    assert_eq!(browser.fetch(&at_second).status, 401, "the old one is gone");
}

#[test]
fn a_replayed_answer_is_refused_after_a_reload_too() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let mut copy = browser.clone();
    assert_eq!(browser.visit(&callback, "cross-site").status, 303);
    shop.gateway.change(&config(&shop.provider, &shop.origin, ", session: { lasts: 7h }"));
    is_refused(&copy.visit(&callback, "cross-site"), 400, "login-failed");
    assert_eq!(shop.provider.asked("/token").len(), 1);
}

#[test]
fn a_code_that_was_used_logs_nobody_in_at_another_gateway() {
    let shop = Shop::open();
    let second = Gateway::start(&config(&shop.provider, &shop.origin, ""));
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let mut copy = browser.clone();
    assert_eq!(browser.visit(&callback, "cross-site").status, 303);
    let there = format!("http://{}{}", second.address(), split(&callback).1);
    is_refused(&copy.visit(&there, "cross-site"), 400, "login-failed");
    assert_eq!((shop.provider.asked("/token").len(), shop.provider.state().redeemed), (2, 1));
}

#[test]
fn a_provider_that_is_slow_is_503_in_time() {
    let shop = Shop::open();
    let mut browser = shop.browser();
    let callback = shop.callback(&mut browser);
    let gate = Gate::default();
    shop.provider.behave(|manners| manners.held = Some(gate.clone()));
    is_refused(&browser.visit(&callback, "cross-site"), 503, "provider-unavailable");
    gate.open();
}

#[test]
fn a_large_session_is_split_and_an_absurd_one_refused() {
    let shop = Shop::open();
    let roles = |count: usize| {
        let roles: Vec<String> =
            (0..count).map(|number| format!("role-{number:04}-of-many-{}", "x".repeat(24))).collect();
        json!({ "roles": roles, "wide": "y".repeat(300) }).as_object().expect("claims").clone()
    };
    shop.provider.behave(|manners| manners.claims = roles(150));
    let mut browser = shop.logged_in();
    assert_eq!(browser.cookies(SESSION).len(), 3, "{:?}", browser.jar);
    // One piece lost: none at all, and the others are cleared.
    let mut torn = browser.clone();
    torn.jar.retain(|cookie| cookie.name != format!("{SESSION}.1"));
    assert_eq!(torn.fetch(&shop.url("/")).status, 401);
    assert!(torn.jar.is_empty(), "{:?}", torn.jar);
    assert_eq!(browser.fetch(&shop.url("/kept")).status, 200);
    shop.provider.behave(|manners| manners.claims = roles(600));
    is_refused(&shop.browser().open(&shop.url("/")), 400, "login-failed");
}

#[test]
fn upstreams_see_the_session_only_where_they_are_told_to() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    let page = browser.fetch(&shop.url("/kept"));
    assert!(seen(&page, "cookie")[0].starts_with(SESSION), "{page:#?}");
    let open = shop.gateway.send(&Request::get("/open").header("Cookie", &format!("a=1; {SESSION}=bad; b=2")));
    assert_eq!((open.status, seen(&open, "cookie")), (200, vec!["a=1; b=2".to_owned()]));
    assert_eq!(seen(&open, "x-anonymous-consumer"), ["true"]);
    let forged = shop.gateway.send(&Request::get("/open").header("X-User-Email", "boss@shop.example"));
    assert_eq!(seen(&forged, "x-user-email"), Vec::<String>::new());
}

#[test]
fn logging_out_ends_it_here_and_at_the_provider() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    shop.callback(&mut shop.browser());
    let away = browser.visit(&shop.url("/oauth2/logout"), "same-origin");
    assert_eq!(away.status, 303, "{away:#?}");
    assert!(browser.jar.is_empty(), "{:?}", browser.jar);
    let to = away.header("location").expect("a place");
    let (page, query) = to.split_once('?').expect("a query");
    assert_eq!(page, format!("{}/logout", shop.provider.issuer()));
    let told = pairs(query);
    assert_eq!((told["client_id"].as_str(), told["post_logout_redirect_uri"].as_str()), (CLIENT, &*shop.url("/bye")));
    assert_eq!(browser.open(to).text(), "bye");
    // Without a session there is nothing to end there.
    assert_eq!(browser.visit(&shop.url("/oauth2/logout"), "none").header("location"), Some("/bye"));
    let mut browser = shop.logged_in();
    assert_eq!(browser.submit(&shop.url("/oauth2/logout"), "same-origin").status, 303);
    assert!(browser.jar.is_empty());
}

#[test]
fn a_kept_cookie_is_good_for_nothing_after_logging_out() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    let thief = browser.clone();
    let mut other = shop.logged_in();
    assert_eq!(thief.clone().fetch(&shop.url("/")).status, 200, "until then it is as good as its owner's");
    assert_eq!(browser.visit(&shop.url("/oauth2/logout"), "same-origin").status, 303);
    assert_eq!(thief.clone().fetch(&shop.url("/")).status, 401);
    let yaml = config(&shop.provider, &shop.origin, ", session: { idle: 2h }");
    shop.gateway.change(&yaml);
    assert_eq!(thief.clone().fetch(&shop.url("/")).status, 401, "nor after a reload");
    assert_eq!(other.fetch(&shop.url("/")).status, 200, "others stay");
}

#[test]
fn a_page_of_another_site_cannot_log_anybody_out() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    let url = shop.url("/oauth2/logout");
    for site in ["cross-site", "same-site", ""] {
        is_refused(&browser.visit(&url, site), 403, "csrf-denied");
        is_refused(&browser.submit(&url, site), 403, "csrf-denied");
    }
    let own = format!("http://{}", shop.gateway.address());
    let bare = |name: &str, value: &str| shop.gateway.send(&Request::get("/oauth2/logout").header(name, value)).status;
    assert_eq!((bare("Referer", "http://evil.example/"), bare("Referer", &format!("{own}/page"))), (403, 303));
    assert_eq!(shop.gateway.get("/oauth2/logout").status, 403, "it does not say where it comes from");
    assert_eq!(shop.gateway.send(&Request::new("DELETE", "/oauth2/logout")).status, 405);
    assert_eq!(browser.fetch(&shop.url("/")).status, 200);
}

#[test]
fn the_session_is_guarded_against_forged_requests_by_itself() {
    let shop = Shop::open();
    let mut browser = shop.logged_in();
    is_refused(&browser.submit(&shop.url("/transfer"), "cross-site"), 403, "csrf-denied");
    assert_eq!(browser.submit(&shop.url("/transfer"), "same-origin").status, 200);
    let cookie = format!("{SESSION}={}", browser.jar[0].value);
    let bare = Request::post("/transfer", "x").header("Cookie", &cookie);
    is_refused(&shop.gateway.send(&bare), 403, "csrf-denied");
    let own = format!("http://{}", shop.gateway.address());
    assert_eq!(shop.gateway.send(&bare.clone().header("Origin", &own)).status, 200);
    // Without the session there is nothing to guard, and nobody logged in either.
    assert_eq!(shop.gateway.send(&Request::post("/transfer", "x").header("Cookie", "a=b")).status, 401);
    let off = config(&shop.provider, &shop.origin, "").replace("/**: { auth: web", "/**: { csrf: off, auth: web");
    shop.gateway.change(&off);
    assert_eq!(shop.gateway.send(&bare).status, 200);
}

#[test]
fn a_strict_cookie_survives_the_way_back_from_the_provider() {
    let cookie =
        format!(", cookie: {{ same_site: strict, secret: {{ value: \"{COOKIE_SECRET}\", insecure_inline: true }} }}");
    let shop = Shop::with(&cookie);
    let mut browser = shop.browser();
    let page = browser.open(&shop.url("/deep?a=b&c=d"));
    assert_eq!(page.status, 200);
    assert!(page.text().contains("url=/deep?a=b&amp;c=d\""), "{}", page.text());
    assert_eq!(browser.visit(&shop.url("/deep?a=b&c=d"), "same-origin").json()["target"], "/deep?a=b&c=d");
}

#[test]
fn over_http2_the_host_comes_from_the_authority() {
    let (provider, origin) = (Provider::start(), Origin::echo());
    let listeners = "listeners: { clear: { address: 127.0.0.1:0, protocols: [h2c] } }\n";
    let gateway = Gateway::start(&format!("{listeners}{}", config(&provider, &origin, "")));
    let address = gateway.listener("clear");
    let request = Request::get("/").header("Accept", "text/html");
    let away = wait::until_some("the endpoints are known", || {
        let answer = h2::Client::connect(address).send(&request);
        (answer.status == 302).then_some(answer)
    });
    let asked = pairs(away.header("location").and_then(|to| to.split_once('?')).expect("a query").1);
    assert_eq!(asked["redirect_uri"], format!("http://{address}/oauth2/callback"));
}

#[test]
fn its_own_paths_are_counted_by_their_keys() {
    let shop = Shop::open();
    shop.logged_in();
    shop.gateway.await_metric("tollgate_requests_total", &["route=\"/oauth2/callback\"", "status=\"303\""], 1.0);
    shop.gateway.get("/oauth2/callback");
    shop.gateway.await_metric(
        "tollgate_refusals_total",
        &["route=\"/oauth2/callback\"", "reason=\"login-failed\""],
        1.0,
    );
}
