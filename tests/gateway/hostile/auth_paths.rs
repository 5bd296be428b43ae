//! Spellings of a path that is protected, over HTTP/1 and HTTP/2: none of them reaches the upstream without a credential,
//! however forgivingly the upstream reads what reaches it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::client::{Client, Request, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::wait::DEADLINE;

/// What a test's upstream is willing to do to a target before it looks for the file.
#[derive(Clone, Copy)]
struct Reading {
    /// How often escapes are decoded.
    decodes: usize,
    /// Whether `;x` is dropped from segments.
    drops_parameters: bool,
    /// Whether a backslash is a slash.
    turns_backslashes: bool,
    /// Whether a NUL ends the path.
    ends_at_nul: bool,
    /// Whether `SECRET.` is `secret`, as on some file systems.
    folds_names: bool,
}

/// Every combination of the ways to read; names are folded only where `folding` is tested.
fn readings(folding: bool) -> Vec<Reading> {
    let mut all = Vec::new();
    for bits in 0..16 {
        for decodes in 0..=3 {
            let bit = |position: u32| bits >> position & 1 == 1;
            if folding || !bit(3) {
                let (drops_parameters, turns_backslashes, ends_at_nul, folds_names) = (bit(0), bit(1), bit(2), bit(3));
                all.push(Reading { decodes, drops_parameters, turns_backslashes, ends_at_nul, folds_names });
            }
        }
    }
    all
}

impl Reading {
    fn of(self, target: &str) -> String {
        let rest = target.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        let path = rest.unwrap_or(target).split(['?', '#']).next().unwrap_or_default();
        let mut bytes = path.as_bytes().to_vec();
        for _ in 0..self.decodes {
            bytes = without_overlong(&decoded(&bytes));
        }
        if self.ends_at_nul {
            bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = if self.turns_backslashes { text.replace('\\', "/") } else { text };
        let mut segments: Vec<String> = Vec::new();
        for segment in text.split('/') {
            let segment = if self.drops_parameters { segment.split(';').next().unwrap_or_default() } else { segment };
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                name if self.folds_names => segments.push(name.trim_end_matches(['.', ' ', '\t']).to_lowercase()),
                name => segments.push(name.to_owned()),
            }
        }
        format!("/{}/", segments.join("/"))
    }
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|_| *first == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &tail[2..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Reads two bytes of an overlong form as the one character they stand for (CVE-2000-0884).
fn without_overlong(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail.first()) {
            (0xc0 | 0xc1, Some(second @ 0x80..=0xbf)) => {
                out.push((first & 1) << 6 | (second & 0x3f));
                rest = &tail[1..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Whether some reading of a target is a path that only known callers may ask for.
fn betrays(target: &str, folding: bool) -> bool {
    readings(folding).iter().any(|reading| {
        let path = reading.of(target);
        let in_files = path.strip_prefix("/files/").and_then(|rest| rest.split('/').nth(1)) == Some("secret");
        path.starts_with("/secret/") || in_files
    })
}

/// Paths that only known callers may ask for, as clients know them.
const PROTECTED: [&str; 4] = ["/secret/keys", "/v1/secret/keys", "/files/a1/secret", "/alias/keys"];

/// Ways to a path from somewhere else; `@` is the path without its first slash.
const WAYS: &[&str] = &[
    "/@",
    "//@",
    "///@",
    "/./@",
    "/././/@",
    "/.//@",
    "/%2e/@",
    "/%2E/@",
    "/x/../@",
    "/x/y/../../@",
    "/x//../@",
    "/public/../@",
    "/public//../@",
    "/public/./../@",
    "/public/x/../../@",
    "/public/%2e%2e/@",
    "/public/%2E%2e/@",
    "/public/.%2e/@",
    "/public/%2e./@",
    "/public/..;/@",
    "/public/..;x=1/@",
    "/public/..%3b/@",
    "/public/%2e%2e;/@",
    "/public/;/../@",
    "/public/;x/@",
    "/public/..%2f@",
    "/public/..%2F@",
    "/public/%2e%2e%2f@",
    "/public%2f..%2f@",
    "/public/..%5c@",
    "/public/..\\@",
    "/public\\..\\@",
    "/public/%5c../@",
    "/public/x%5c..%5c..%5c@",
    "/public/%252e%252e/@",
    "/public/%252e%252e%252f@",
    "/public/..%252f@",
    "/public/%25252e%25252e/@",
    "/public/..%255c@",
    "/public/..%253b/@",
    "/public/%c0%ae%c0%ae/@",
    "/public/..%c0%af@",
    "/public/%c0%2e%c0%2e/@",
    "/public/%e0%80%ae%e0%80%ae/@",
    "/public/%f0%80%80%ae./@",
    "/public/%u002e%u002e/@",
    "/public/..%00/@",
    "/public/%00/../../@",
    "/public%00/../@",
    "/public/..%0d%0a/@",
    "/public/..%09/@",
    "/public/.%09./@",
    "/public/..\t/@",
    "/public/.. /@",
    "/public/..%20/@",
    "/public/..\u{fffd}/@",
    "/public/...//../../@",
    "/public/?/../../@",
    "/public?/../@",
    "/public#/../@",
    "/public/#/../../@",
    "/public/%23/../../@",
    "/public/%3f/../../@",
    "/../@",
    "/../../@",
    "/%2e%2e/@",
    "http://a/@",
    "http://a//@",
    "http://a/public/../@",
    "http://a/public/..;/@",
    "HTTP://A/@",
    "https://a/@",
    "http://a:80/@",
    "http://b/@",
    "http://a@b/@",
    "http://a/@?x",
    "@",
    "\\@",
    "/\\@",
    "\\/@",
    "*/@",
    "/*/../@",
    " /@",
    "/@ ",
    "?/@",
    "#/@",
    ";/@",
    "/;/@",
    "/;x/@",
    "/%2f@",
    "/%5c@",
    "/%09@",
    "/%20@",
    "/%0a@",
    "/.;/@",
    "/.%2f@",
    "//a/@",
    "///a/../@",
    "/hello/..%2f@",
    "/hello/../@",
    "/hello/%2e%2e%2f@",
    "/hello/..;%2f@",
    "/v1/../@",
    "/v1/public/../@",
    "/v1/public/..;/@",
    "/v1/public/../../@",
    "/v1/public/%2e%2e/%2e%2e/@",
    "/v1/..;/@",
    "/v1/..%2f@",
    "/v1//@",
    "/files/a/open/../../../@",
    "/files/a/open/..%2f..%2f..%2f@",
    "/files/a/open/..;/..;/..;/@",
    "/files/../@",
    "/files/..%2fopen/../@",
];

/// Spellings of a path itself.
fn spellings(path: &str) -> Vec<String> {
    let first = path.as_bytes()[1];
    let (whole, tail) = (path.get(1..).unwrap_or_default(), path.get(2..).unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default();
    let head = path.strip_suffix(last).unwrap_or_default();
    let each = |write: fn(u8) -> String| -> String {
        path.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { write(byte) }).collect()
    };
    let mut all: Vec<String> = WAYS.iter().map(|way| way.replace('@', whole)).collect();
    all.extend([
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("%25{byte:02x}")),
        each(|byte| format!("%2525{byte:02x}")),
        each(|byte| format!("%c1%{:02x}", byte | 0x80)),
        each(|byte| char::from(byte).to_ascii_uppercase().to_string()),
        format!("/%{first:02x}{tail}"),
        format!("/%25{first:02x}{tail}"),
        format!("/%{first:x}%"),
        path.replace('/', "//"),
        path.replace('/', "/./"),
        path.replace('/', "/%2e/"),
        path.replace('/', "%2f"),
        path.replace('/', "%5c"),
        path.replace('/', "\\"),
        path.replace('/', "%252f"),
        path.replace('/', "%c0%af"),
        path.replace('/', "/;/"),
        path.replace('/', ";/"),
        format!("/{}", whole.replace('/', "%2f")),
        format!("/{}", whole.replace('/', ";a=b/")),
        format!("/{}", whole.replace('/', "%3b/")),
        format!("/{}", whole.replace('/', "%253b/")),
        format!("/{}", whole.replace('/', "./")),
        format!("/{}", whole.replace('/', "%20/")),
        format!("/{}", whole.replace('/', "%09/")),
        format!("/{}", whole.replace('/', "\t/")),
        format!("/{}", whole.replace('/', "%00/")),
        format!("/{}", whole.replace('/', "\\")),
        format!("{head}{last}/"),
        format!("{head}{last}//"),
        format!("{head}{last}/."),
        format!("{head}{last}/x/.."),
        format!("{head}{last}/%2e"),
        format!("{head}{last}."),
        format!("{head}{last}%2e"),
        format!("{head}{last};"),
        format!("{head}{last};x=1"),
        format!("{head}{last}%3bx"),
        format!("{head}{last}%00"),
        format!("{head}{last}%00.png"),
        format!("{head}{last}%20"),
        format!("{head}{last}%09"),
        format!("{head}{last}?"),
        format!("{head}{last}?x=1"),
        format!("{head}{last}?/../../public"),
        format!("{head}{last}#"),
        format!("{head}{last}#/../../public"),
        format!("{head}x/../{last}"),
        format!("{head}./{last}"),
        format!("{head}/{last}"),
        format!("{head}%2e/{last}"),
        format!("{head}x/%2e%2e/{last}"),
        format!("{head}..%2f{last}"),
    ]);
    all
}

/// The status of what comes back, none where the connection is closed.
fn over_h1(address: SocketAddr, target: &str) -> Option<u16> {
    let mut client = Client::connect(address);
    client.send_raw(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    client.try_read("GET").ok().map(|response| response.status)
}

/// Sends a target as `:path`, whatever it is, and waits for what becomes of the stream.
fn over_h2(address: SocketAddr, target: &str) {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut block = Vec::new();
    for (name, value) in [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", target)] {
        block.push(0); // a literal that is not indexed (RFC 7541 §6.2.2)
        for text in [name, value] {
            let length = u8::try_from(text.len()).expect("a short text");
            if length < 127 {
                block.push(length);
            } else {
                block.extend([127, length - 127]);
            }
            block.extend(text.as_bytes());
        }
    }
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..], &frame(1, 5, 1, &block)].concat();
    socket.write_all(&bytes).expect("bytes sent");
    let mut head = [0; 9];
    while socket.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        if socket.read_exact(&mut payload).is_err() {
            return;
        }
        // HEADERS, RST_STREAM or GOAWAY: the answer, or that there is none.
        if matches!((head[3], head[8]), (1 | 3, 1) | (7, _)) {
            return;
        }
    }
}

/// A gateway with those routes; nobody who asks it here has a certificate.
fn gateway(routes: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h1, h2c] }} }}\n\
         auth: {{ partners: {{ mtls: {{ unknown: allow }} }} }}\n{routes}"
    ))
}

/// Asks for every spelling; gives back how many the protected routes took for what they are.
fn ask_for_all(gateway: &Gateway, origin: &Origin, folding: bool) -> usize {
    let (address, mut caught, mut asked) = (gateway.listener("clear"), 0, BTreeSet::new());
    for spelling in PROTECTED.iter().flat_map(|path| spellings(path)) {
        if !asked.insert(spelling.clone()) {
            continue;
        }
        let status = over_h1(address, &spelling);
        assert!(matches!(status, None | Some(200 | 400 | 401 | 404)), "{spelling}: {status:?}");
        caught += usize::from(status == Some(401));
        over_h2(address, &spelling);
        for request in origin.requests() {
            assert!(!betrays(&request.target, folding), "{spelling:?} reached the upstream as {}", request.target);
        }
        origin.forget();
    }
    assert!(asked.len() >= 400, "{} spellings", asked.len());
    caught
}

#[test]
fn no_spelling_passes_where_everything_is_protected_but_what_is_opened() {
    let origin = Origin::echo();
    let url = origin.url();
    let gateway = gateway(&format!(
        "defaults: {{ auth: partners }}\nroutes:\n  /secret/**: {{ to: {url} }}\n  \
         /public/**: {{ auth: off, encoded_slash: keep, to: {url} }}\n  \
         ~/files/[a-z0-9]+/secret(/.*)?: {{ to: {url} }}\n  ~/files/[a-z0-9]+/open(/.*)?: {{ auth: off, to: {url} }}\n  \
         /alias/**: {{ rewrite: \"/secret/{{**}}\", to: {url} }}\n  \
         /hello/{{name}}: {{ auth: off, encoded_slash: keep, rewrite: \"/public/{{name}}\", to: {url} }}\n\
         apis:\n  shop:\n    base: /v1\n    routes:\n      /secret/**: {{ to: {url} }}\n      /public/**: {{ auth: off, to: {url} }}\n"
    ));
    let caught = ask_for_all(&gateway, &origin, true);
    assert!(caught >= 100, "only {caught} spellings were taken for what they are");
    // What is open is open, so that the rest of the test says something.
    for (target, seen) in [
        ("/public/a", "/public/a"),
        ("/v1/public/a", "/public/a"),
        ("/hello/b", "/public/b"),
        ("/files/a/open", "/files/a/open"),
    ] {
        assert_eq!(over_h1(gateway.listener("clear"), target), Some(200), "{target}");
        assert_eq!(origin.requests().pop().expect("a request").target, seen);
    }
    over_h2(gateway.listener("clear"), "/public/h2");
    assert_eq!(origin.requests().pop().expect("a request").target, "/public/h2");
}

/// A route that takes all that no other does is open. Only what the standard takes for other names (RFC 3986 §6.2.2.1:
/// case matters) is left to the upstream then.
#[test]
fn no_spelling_passes_a_protected_route_beside_one_that_is_open_to_all() {
    let origin = Origin::echo();
    let url = origin.url();
    let gateway = gateway(&format!(
        "routes:\n  /secret/**: {{ auth: partners, to: {url} }}\n  /files/{{id}}/secret/**: {{ auth: partners, to: {url} }}\n  \
         /alias/**: {{ auth: partners, rewrite: \"/secret/{{**}}\", to: {url} }}\n  /**: {{ to: {url} }}\n\
         apis:\n  shop:\n    base: /v1\n    auth: partners\n    routes: {{ /secret/**: {{ to: {url} }}, \"/files/{{id}}/secret/**\": {{ to: {url} }}, /**: {{ auth: off, to: {url} }} }}\n"
    ));
    let caught = ask_for_all(&gateway, &origin, false);
    assert!(caught >= 150, "only {caught} spellings were taken for what they are");
    assert_eq!(over_h1(gateway.listener("clear"), "/elsewhere"), Some(200));
}

#[test]
fn no_field_takes_a_request_to_another_path() {
    let origin = Origin::echo();
    let url = origin.url();
    let gateway = gateway(&format!(
        "defaults: {{ auth: partners }}\nroutes: {{ /secret: {{ to: {url} }}, /public: {{ auth: off, to: {url} }} }}"
    ));
    let fields = ["X-Original-URL", "X-Rewrite-URL", "X-Original-Uri", "X-Forwarded-Prefix", "X_Original_URL"];
    let request = fields.iter().fold(Request::get("/public"), |request, field| request.header(field, "/secret"));
    let lower =
        fields.iter().fold(Request::get("/public"), |request, field| request.header(&field.to_lowercase(), "/secret"));
    assert_eq!(Client::connect(gateway.listener("clear")).send(&request).status, 200);
    assert_eq!(h2::Client::connect(gateway.listener("clear")).send(&lower).status, 200);
    for request in origin.requests() {
        assert!(!request.fields.iter().any(|(_, value)| value == "/secret"), "{request:?}");
    }
    for method in ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "SECRET"] {
        let mut client = Client::connect(gateway.listener("clear"));
        client.send_raw(format!("{method} /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        let status = client.try_read(method).ok().map(|response| response.status);
        assert!(matches!(status, None | Some(400 | 401 | 405 | 501)), "{method}: {status:?}");
    }
    assert_eq!(origin.requests().len(), 2);
}
