//! Whole files: what is refused and how that reads, and that every spelling of one thing is the same.

use super::*;
use crate::value::Severity;
use std::time::{Duration, Instant};

fn config(text: &str) -> Config {
    load_str("shop.yaml", text).unwrap_or_else(|failed| panic!("{failed}")).config
}

fn refusal(text: &str) -> String {
    match load_str("shop.yaml", text) {
        Ok(_) => panic!("not refused: {text}"),
        Err(failed) => failed.to_string(),
    }
}

/// The first lines of each problem, without excerpts.
fn messages(text: &str) -> Vec<String> {
    let Err(failed) = load_str("shop.yaml", text) else { panic!("not refused: {text}") };
    let line = |problem: &crate::value::Problem| {
        let place = problem.place.map_or(String::new(), |place| format!("{}:{} ", place.line, place.column));
        let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{place}{}{hint}", problem.message)
    };
    failed.problems.iter().map(line).collect()
}

#[test]
fn accepts_the_nine_line_file() {
    let config =
        config("listen: :8080\nroutes:\n  /orders/**:\n    to: [http://10.0.0.1:8080, http://10.0.0.2:8080]\n");
    assert_eq!(config.listen[0].to_string(), "0.0.0.0:8080");
    let (key, route) = config.routes.iter().next().unwrap();
    assert_eq!((key.as_str(), key.place.line, key.place.column), ("/orders/**", 3, 3));
    let Some(TargetConfig::List(endpoints)) = route.to.as_deref() else { panic!("{route:?}") };
    assert_eq!((endpoints.len(), endpoints[1].place.column), (2, 32));
}

#[test]
fn reports_everything_at_once_with_place_line_and_advice() {
    let text = "\
listen: localhost:8080
defualts: { timeout: 10s }
upstreams:
  orders:
    endpoints: [htp://10.0.0.1, { url: http://10.0.0.2, wieght: 2 }]
    balance: lest_requests
routes:
  GET /a:
    tiemout: 3s
    to: orders
  GET /a:
    to: orders
  /b: { timeout: 30, body_limit: 10mb, to: orders }
";
    assert_eq!(
        refusal(text),
        "\
shop.yaml:1:9: error: `localhost` is not an IP address
  |
1 | listen: localhost:8080
  |         ^^^^^^^^^^^^^^
  = help: write `127.0.0.1:8080` or `[::1]:8080`

shop.yaml:2:1: error: unknown field `defualts`
  |
2 | defualts: { timeout: 10s }
  | ^^^^^^^^
  = help: did you mean `defaults`?

shop.yaml:5:17: error: unknown scheme `htp`
  |
5 |     endpoints: [htp://10.0.0.1, { url: http://10.0.0.2, wieght: 2 }]
  |                 ^^^^^^^^^^^^^^
  = help: did you mean `http`?

shop.yaml:5:57: error: unknown field `wieght`
  |
5 |     endpoints: [htp://10.0.0.1, { url: http://10.0.0.2, wieght: 2 }]
  |                                                         ^^^^^^
  = help: did you mean `weight`?

shop.yaml:6:14: error: unknown value `lest_requests`
  |
6 |     balance: lest_requests
  |              ^^^^^^^^^^^^^
  = help: did you mean `least_requests`?

shop.yaml:9:5: error: unknown field `tiemout`
  |
9 |     tiemout: 3s
  |     ^^^^^^^
  = help: did you mean `timeout`?

shop.yaml:11:3: error: duplicate key `GET /a`
   |
11 |   GET /a:
   |   ^^^^^^
shop.yaml:8:3: first defined here
  |
8 |   GET /a:
  |   ^^^^^^

shop.yaml:13:18: error: the duration `30` has no unit
   |
13 |   /b: { timeout: 30, body_limit: 10mb, to: orders }
   |                  ^^
   = help: write `30s` for seconds or `30ms` for milliseconds

shop.yaml:13:34: error: `10mb` is not a size
   |
13 |   /b: { timeout: 30, body_limit: 10mb, to: orders }
   |                                  ^^^^
   = help: write `10MiB` (1024²) or `10MB` (1000²)

9 errors"
    );
}

#[test]
fn says_what_was_found_and_what_was_expected() {
    let mut wrong = Vec::new();
    for (text, message) in [
        ("listen: [[1]]", "1:10 expected an address such as `:8080`, `127.0.0.1:8080` or `[::1]:8080`, found a list"),
        ("routes: [a]", "1:1 expected a map of routes, found a list"),
        ("routes:\n", "1:1 expected a map of routes, found nothing (write a value, or remove the line)"),
        ("routes: { /a: }", "1:11 expected a map, found nothing (write a value, or remove the line)"),
        ("routes: { /a: b }", "1:15 expected a map, found the text `b`"),
        ("watch: yes", "1:8 expected `true` or `false`, found the text `yes` (write `true`)"),
        ("watch: 'true'", "1:8 expected `true` or `false`, found the text `true` (write `true` without quotes)"),
        ("server: { threads: two }", "1:20 expected a whole number from 0 to 65535, found the text `two`"),
        ("server: { threads: '2' }", "1:20 expected a whole number, found the text `2` (write `2` without quotes)"),
        ("server: { threads: 70000 }", "1:20 expected a whole number from 0 to 65535, found `70000`"),
        ("server: { threads: -1 }", "1:20 expected a whole number from 0 to 65535, found `-1`"),
        (
            "server: { drain: 5 }",
            "1:18 the duration `5` has no unit (write `5s` for seconds or `5ms` for milliseconds)",
        ),
        ("include: teams/*.yaml", "1:10 expected a list, found the text `teams/*.yaml`"),
        ("listeners: { a: {} }", "1:14 the field `address` is missing"),
        ("listeners: { a: { adress: ':80' } }", "1:19 unknown field `adress` (did you mean `address`?)"),
        ("listeners: { a: { address: ':x' } }", "1:28 `x` is not a port (write a port from 0 to 65535)"),
        ("access_log: { format: xml }", "1:23 unknown value `xml` (write one of `json`, `text`)"),
        ("upstreams: { a: { balance: hash } }", "1:28 `hash` needs a value (write `{ hash: … }`)"),
        ("upstreams: { a: { balance: { hash: x, random: y } } }", "1:19 expected exactly one of"),
        (
            "upstreams: { a: { endpoints: ['http://a'], panic: 20 } }",
            "1:51 the share `20` has no percent sign (write `20%`)",
        ),
        ("trusted_proxies: [10.0.0.1/8, x]", "1:19 `10.0.0.1/8` has bits set beyond its prefix (write `10.0.0.0/8`)"),
        ("- a", "1:1 expected a map, found a list"),
        ("", "1:1 the file holds no configuration (write at least `listen: :8080` and a map of `routes:`)"),
        ("# a comment\n", "1:1 the file holds no configuration"),
        ("a", "1:1 expected a map, found the text `a`"),
        ("listen: !x a", "1:12 the tag `!x` has no meaning here"),
    ] {
        let found = messages(text);
        if !found[0].starts_with(message) {
            wrong.push(format!("{text}\n found: {}\nwanted: {message}", found[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn does_not_complain_of_what_follows_from_another_mistake() {
    for text in [
        "listeners: { a: { adress: ':80' } }",
        "listeners: { a: { address: x } }",
        "routes: { /a: { to: 'htp://a' } }",
        "routes: { /a: [{ to: 'htp://a' }] }",
        "routes: { /a: { respnd: { status: 200 } } }",
        "upstreams: { a: { endpoints: ['htp://a'] } }",
        "upstreams: { a: { balance: { hash: nothing }, endpoints: ['http://a'] } }",
    ] {
        assert_eq!(messages(text).len(), 1, "{text}: {:#?}", messages(text));
    }
}

#[test]
fn one_bad_entry_costs_no_other() {
    let routes: String = (0..300).map(|n| format!("  /r{n}: {{ to: 'htp://a', tiemout: 3s }}\n")).collect();
    let found =
        messages(&format!("trusted_proxies: [x, y]\nlimits: {{ header_count: x, idle: 3s }}\nroutes:\n{routes}"));
    assert_eq!(found.len(), 201);
    assert_eq!(found.iter().filter(|message| message.contains("range of addresses")).count(), 2);
    assert_eq!(found.last().unwrap(), "more than 200 problems; the rest is not shown");
}

#[test]
fn every_short_form_equals_its_long_form() {
    for (short, long) in [
        ("listen: :80", "listen: ['0.0.0.0:80']"),
        ("admin: 127.0.0.1:1", "admin: { address: 127.0.0.1:1 }"),
        ("access_log: off", "access_log: { to: off }"),
        ("access_log: log/a.json", "access_log: { to: log/a.json, format: json }"),
        ("defaults: { retries: 2 }", "defaults: { retries: { max: 2, on: [connect], budget: 20% } }"),
        ("defaults: { timeout: 90s }", "defaults: { timeout: 1m30s }"),
        (
            "upstreams: { a: { endpoints: ['http://a'] } }",
            "upstreams: { a: { endpoints: [{ url: 'http://a:80', weight: 1 }] } }",
        ),
        ("upstreams: { a: { endpoints: ['grpc://a'] } }", "upstreams: { a: { endpoints: ['h2c://a'] } }"),
        (
            "upstreams: { a: { endpoints: ['http://a'], health: /h } }",
            "upstreams: { a: { endpoints: ['http://a'], health: { path: /h, interval: 5s, statuses: [200-299] } } }",
        ),
        ("routes: { /a: { redirect: /b } }", "routes: { /a: { redirect: { to: /b, status: 308 } } }"),
        ("routes: { /a: { redirect: /b } }", "routes: { /a: [{ redirect: { to: /b } }] }"),
        (
            "routes: { /a: { respond: {}, match: { host: a, header: { X: 'true' } } } }",
            "routes: { /a: { respond: { status: 200 }, match: { host: [a], header: { X: { exact: 'true' } } } } }",
        ),
        (
            "routes: { /a: { to: [{ upstream: a }, { upstream: b, weight: 1 }] } }",
            "routes: { /a: { to: [{ upstream: a, weight: 1 }, { upstream: b }] } }",
        ),
    ] {
        assert_eq!(config(short), config(long), "{short}");
    }
}

/// Something of everything.
const FULL: &str = "\
listen: [':8080', '[::1]:8081']
listeners:
  secure:
    address: ':8443'
    protocols: [h2, h1]
    tls: { certificates: [{ cert: a.crt, key: a.key }], min_version: '1.3', client_ca: ca.crt, client_auth: request }
    limits: { header_timeout: 5s, header_bytes: 16KiB, header_count: 50, connections: 10 }
admin: { address: 0.0.0.0:9901, token: $env:TOKEN }
trusted_proxies: [10.0.0.0/8, ::1]
access_log: { to: run/access.log, format: text, redact_query: [key] }
server: { threads: 4, user: www, pid_file: run/pid, upgrade_socket: run/up.sock, drain: 5s, grace: 1m }
defaults: { timeout: off, retries: { max: 2, on: [connect, reset, timeout, 503], budget: 12.5% }, body_limit: off }
upstreams:
  a:
    endpoints: [http://10.0.0.1:8080, { url: https://b, weight: 2 }]
    balance: { hash: header X-User }
    health: { tcp: true, statuses: [200, 300-399] }
    ejection: { after: 3, for: 10s, longest: 1m, at_most: 30% }
    tls: { ca: ca.crt, cert: c.crt, key: c.key, sni: b.example, verify: false }
  b: { discover: { dns: b.internal, port: 80 }, balance: peak_ewma, ejection: off, panic: 0% }
apis:
  shop: { host: shop.example, base: /v1, strip: false, routes: { GET /p: { to: a } } }
routes:
  GET|POST /a/{id}: { to: [{ upstream: a, weight: 9 }, { upstream: b }], rewrite: '/x/{id}', preserve_host: true }
  /b:
    - { match: { query: { v: { prefix: '2' } }, cookie: { c: { present: false } } }, to: a }
    - { to: [http://c, { url: http://d, weight: 3 }], encoded_slash: keep, forwarded: true }
  ~^/c$: { respond: { status: 418, headers: { X-A: b }, json: { short: [stout, 1.5, null] } } }
replies:
  default: { content_type: text/plain, body: '{status} {detail}', status: 503 }
watch: true
";

#[test]
fn the_long_form_means_the_same() {
    let short = config(FULL);
    let long = fmt_long(&short).unwrap();
    assert_eq!(config(&long), short, "{long}");
    assert_eq!(fmt_long(&config(&long)).unwrap(), long);
}

#[test]
fn the_formatted_form_means_the_same() {
    let loaded = load_str("shop.yaml", FULL).unwrap();
    let formatted = fmt(&loaded).text;
    assert_eq!(config(&formatted), loaded.config, "{formatted}");
}

#[test]
fn refuses_settings_that_exclude_one_another() {
    let mut wrong = Vec::new();
    for (text, message) in [
        ("routes: { /a: {} }", "1:11 the route does nothing"),
        (
            "routes: { /a: { to: 'http://a', respond: {} } }",
            "1:42 a route has exactly one of `to`, `combine`, `batch`, `redirect`, `respond` and `mock`",
        ),
        ("routes: { /a: { redirect: { to: /b, status: 200 } } }", "1:45 a redirect's status is"),
        ("upstreams: { a: {} }", "1:14 upstream `a` has no endpoint"),
        ("upstreams: { a: { endpoints: [{ url: 'http://a', weight: 0 }] } }", "1:58 a weight is from 1 to 1000"),
        ("upstreams: { a: { endpoints: ['http://a'], tls: { cert: a } } }", "1:14 cert and key of `tls`"),
        (
            "upstreams: { a: { endpoints: ['http://a'], health: { interval: 0s } } }",
            "1:64 `interval` must be longer than nothing",
        ),
        (
            "upstreams: { a: { discover: { dns: a, port: 1, interval: 0s } } }",
            "1:58 `interval` must be longer than nothing",
        ),
        ("admin: 0.0.0.0:1", "1:8 the admin API needs a token"),
        ("server: { threads: 0 }", "1:20 `threads` is from 1 to 256"),
        ("listeners: { a: { address: ':1', protocols: [h2] } }", "1:46 h2 needs TLS"),
        ("replies: { default: { content_type: a/b } }", "1:12 a reply has exactly one of `body` and `file`"),
    ] {
        let found = messages(text);
        if !found[0].starts_with(message) {
            wrong.push(format!("{text}\n found: {}\nwanted: {message}", found[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_in_the_file_is_never_shown() {
    for text in [
        "admin: { address: ':1', token: hunter2hunter2 }",
        "admin: { address: ':1', token: { value: hunter2hunter2 } }",
        "admin: { address: ':1', token: { value: hunter2hunter2, insecure_inline: false } }",
        "admin: { address: ':x', token: { value: hunter2hunter2, insecure_inline: true } }",
        "admin: { address: ':1', token: { value: hunter2hunter2, insecure_inlin: true } }",
        "admin: { address: ':1', tokn: hunter2hunter2 }",
        "admin: { address: ':1', token: [hunter2hunter2] }",
        "admin: { address: ':1', token: hunter2hunter2",
        "admin:\n  adress: ':1'\n  token: \"hunter2hunter2\n    hunter2\"\n",
        "admin: { adress: ':1', token: >-\n hunter2 }",
        "upstreams: { a: { endpoints: ['http://me:hunter2@a'] } }",
    ] {
        let Err(failed) = load_str("shop.yaml", text) else { panic!("not refused: {text}") };
        let shown = format!("{failed} {}", failed.problems.to_json(&failed.sources));
        let lines = shown.lines().filter(|line| !line.contains("http://me"));
        assert!(!lines.collect::<String>().contains("hunter2"), "{text}\n{shown}");
    }
    let loaded = load_str("x", "admin: { token: { value: hunter2hunter2, insecure_inline: true } }").unwrap();
    let warning = loaded.problems.iter().next().unwrap();
    assert_eq!(
        (warning.severity, warning.message.as_str()),
        (Severity::Warning, "the secret stands in the file itself")
    );
    let shown = format!(
        "{:?} {} {}",
        loaded.config,
        fmt_long(&loaded.config).unwrap(),
        loaded.problems.render(&loaded.sources)
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn merges_included_files_and_names_both_places_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("shop.yaml", "include: [teams/*.yaml, teams/a.yaml]\nroutes: { /a: { to: x } }\n");
    write("teams/a.yaml", "upstreams: { x: { endpoints: ['http://a'], tls: { ca: a.crt } } }\n");
    write("teams/b.yaml", "routes: { /b: { to: x } }\n");
    write("teams/c.txt", "[");
    let loaded = load(&folder.path().join("shop.yaml")).unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(loaded.files.len(), 3);
    assert_eq!(loaded.config.routes.iter().count(), 2);
    let ca = loaded.config.upstreams.get("x").unwrap().tls.ca.as_ref().unwrap();
    assert_eq!(loaded.sources.resolve(ca.place, &ca.value), folder.path().join("teams/a.crt"));

    write("teams/b.yaml", "include: [x]\nroutes: { /a: { to: x } }\nlisten: :80\n");
    write("teams/d.yaml", "upstreams: { x: { endpoints: ['http://b'] } }\n");
    let failed = load(&folder.path().join("shop.yaml")).unwrap_err().to_string();
    let folder = folder.path().display().to_string();
    let heads: Vec<String> =
        failed.lines().filter(|line| line.contains(".yaml:")).map(|line| line.replace(&folder, "")).collect();
    assert_eq!(
        heads,
        [
            "/teams/b.yaml:1:1: error: unknown field `include`",
            "/teams/b.yaml:2:11: error: `/a` stands in another file already",
            "/shop.yaml:2:11: first written here",
            "/teams/b.yaml:3:1: error: unknown field `listen`",
            "/teams/d.yaml:1:14: error: `x` stands in another file already",
            "/teams/a.yaml:1:14: first written here",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &std::path::Path| load(path).unwrap_err().problems.into_vec().remove(0).message;
    assert!(message(&folder.path().join("none.yaml")).contains("cannot be read"));
    assert!(message(folder.path()).contains("it is a folder"));
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"a: 1\nb: caf\xe9\n").unwrap();
    let failed = load(&path).unwrap_err().to_string();
    assert!(failed.contains("latin1.yaml:2:7: error: the file is not UTF-8"), "{failed}");
    std::fs::write(&path, vec![b'#'; (16 << 20) + 1]).unwrap();
    assert!(message(&path).contains("larger than 16MiB"));
    std::fs::write(&path, "include: [none.yaml, '*.none']\n").unwrap();
    let failed = load(&path).unwrap_err();
    assert_eq!((failed.problems.count(Severity::Error), failed.problems.count(Severity::Warning)), (1, 1));
}

#[test]
fn the_schema_describes_every_field() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(!schema["title"].as_str().unwrap().is_empty());
    for name in ["listen", "listeners", "routes", "apis", "upstreams", "defaults", "include"] {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let types = schema["$defs"].as_object().unwrap();
    assert!(types.contains_key("AdminConfig") && types.contains_key("RouteConfig"), "{:?}", types.keys());
    let objects = types.iter().flat_map(|(name, it)| {
        let long = it["anyOf"].as_array().map_or(vec![it.clone()], Clone::clone);
        long.into_iter().map(move |it| (name.clone(), it))
    });
    let mut fields = 0;
    for (name, object) in objects.chain([("Config".to_owned(), schema.clone())]) {
        for (field, described) in object["properties"].as_object().into_iter().flatten() {
            let text = described["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name}.{field} has no description");
            fields += 1;
        }
    }
    assert!(fields > 80, "{fields}");
}

/// A file of that many routes over that many hosts, each with an upstream of its own.
fn large(routes: usize) -> String {
    let mut text = "listen: :8080\nroutes:\n".to_owned();
    for n in 0..routes {
        text += &format!("  GET /service{n}/items/{{id}}:\n    match: {{ host: h{}.example }}\n", n % 1000);
        text += &format!("    timeout: 3s\n    to: [http://10.0.{}.{}:8080]\n", n / 250 % 250, n % 250);
    }
    text
}

#[test]
fn ten_thousand_routes_are_read_quickly_with_mistakes_or_without() {
    let text = large(10_000);
    let start = Instant::now();
    assert_eq!(config(&text).routes.iter().count(), 10_000);
    let clean = start.elapsed();
    let bad =
        text.replacen("3s", "3", 100).replacen("listen:", "lisen: 1\nwach: 1\naccess_log: { x: 1, y: 2 }\nlistne:", 1);
    let start = Instant::now();
    assert_eq!(messages(&bad).len(), 105);
    let wrong = start.elapsed();
    // Unoptimised and on a busy machine; an optimised build takes a tenth of it.
    let bound = Duration::from_secs(20);
    assert!(clean < bound && wrong < bound, "{clean:?} {wrong:?}");
}

proptest::proptest! {
    /// Whatever a text is, it is read or refused; and what is refused has a reason that can be shown.
    #[test]
    fn no_text_makes_it_panic(cuts in proptest::collection::vec((0..FULL.len(), 0usize..40, "[ \\-:{}\\[\\]a1\n\t\"'#&*!|>~,?é]{0,4}"), 1..6)) {
        let mut text = FULL.to_owned();
        for (at, len, with) in cuts {
            let mut start = at.min(text.len());
            while !text.is_char_boundary(start) { start -= 1; }
            let mut end = (start + len).min(text.len());
            while !text.is_char_boundary(end) { end -= 1; }
            text.replace_range(start..end.max(start), &with);
        }
        match load_str("x", &text) {
            Ok(loaded) => { fmt(&loaded); fmt_long(&loaded.config).unwrap(); }
            Err(failed) => {
                proptest::prop_assert!(failed.problems.is_fatal());
                proptest::prop_assert!(!failed.to_string().is_empty());
            }
        }
    }
}
