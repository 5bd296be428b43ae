//! The files of `conf/` and the YAML of the README: each is checked as `tollgate check` does, and each that needs nothing
//! beside this machine is started as `run` does, on ports the system chooses, and asked once.

#[cfg(test)]
#[path = "gateway/support/mod.rs"]
#[expect(dead_code, reason = "these tests use a part of what the gateway's tests do")]
mod support;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use crate::support::client::{Request, Response, send};
    use crate::support::openid::{self, browser::Browser};
    use crate::support::tls::{Authority, H1, Identity};
    use serde_yaml::Value;
    use tempfile::TempDir;
    use tollgate::config;
    use tollgate::observe::metrics::{Metrics, MetricsSettings};
    use tollgate::reply::Reason;
    use tollgate::server::{Gateway, Sockets, Source};
    use tollgate::snapshot::{Surroundings, compile};

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// What `tollgate check` says to the file: the number of its routes, or its problems and warnings.
    fn check(path: &Path) -> Result<usize, String> {
        let metrics = Metrics::new(MetricsSettings {
            workers: 1,
            max_routes: MetricsSettings::MAX_ROUTES,
            reasons: Reason::SLUGS,
        });
        let surroundings = Surroundings {
            previous: None,
            metrics: &metrics,
            fetcher: &Default::default(),
            limits: &Default::default(),
            seed: 0,
        };
        let loaded = config::read(path).map_err(|failed| failed.to_string())?;
        let compiled = compile(loaded, &surroundings).map_err(|failed| failed.to_string())?;
        if compiled.warnings.is_empty() { Ok(compiled.snapshot.routes.len()) } else { Err(compiled.warnings) }
    }

    /// RFC 9421, B.1.4.
    const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";

    /// A copy of a configuration in a folder of its own, with what it names beside it: certificates of an authority of the
    /// test, and a token in place of one from the environment.
    struct Copy {
        authority: Authority,
        path: PathBuf,
    }

    impl Copy {
        fn of(text: &str) -> Self {
            let authority = Authority::new();
            let folder = authority.folder().to_owned();
            let pairs = [("tls/shop", "shop.example"), ("tls/wildcard", "*.shop.example")];
            fs::create_dir_all(folder.join("tls")).expect("a folder for certificates");
            for (file, name) in pairs {
                let identity = authority.server("made", &[name]);
                fs::copy(identity.certificate, folder.join(format!("{file}.crt"))).expect("a certificate");
                fs::copy(identity.key, folder.join(format!("{file}.key"))).expect("a key");
            }
            fs::copy(authority.certificate(), folder.join("tls/clients-ca.crt")).expect("an authority's certificate");
            fs::create_dir_all(folder.join("secrets")).expect("a folder for secrets");
            fs::create_dir_all(folder.join("run")).expect("a folder for the access log");
            fs::write(folder.join("secrets/token"), "a-token-for-tests\n").expect("a token");
            fs::write(folder.join("secrets/oidc-client"), openid::SECRET).expect("a client's secret");
            fs::write(folder.join("secrets/oidc-cookie"), "a cookie secret of the tests, 32+ bytes").expect("a secret");
            for name in ["acme", "acme-next", "crawler"] {
                fs::write(folder.join("secrets").join(name), format!("the-key-of-{name}-for-tests\n")).expect("a key");
            }
            fs::write(folder.join("secrets/ann"), "the-password-of-ann-for-tests\n").expect("a password");
            fs::write(folder.join("secrets/partner"), "a-secret-that-is-shared-with-a-partner").expect("a secret");
            fs::create_dir_all(folder.join("keys")).expect("a folder for keys");
            fs::write(folder.join("keys/mobile.pem"), PUBLIC_KEY).expect("a key");
            fs::create_dir_all(folder.join("lists")).expect("a folder for lists");
            for list in ["office.txt", "blocked.txt", "consumers.csv"] {
                fs::copy(root().join("conf/lists").join(list), folder.join("lists").join(list)).expect("a list");
            }
            fs::write(folder.join("secrets/jwt"), "a-secret-for-tests-that-is-long-enough\n").expect("a secret");
            let path = folder.join("gateway.yaml");
            let text = text.replace("$env:TOLLGATE_ADMIN_TOKEN", "$file:secrets/token");
            fs::write(&path, text).expect("a copy of the configuration");
            Self { authority, path }
        }

        fn of_file(name: &str) -> Self {
            Self::of(&fs::read_to_string(root().join("conf").join(name)).expect("a file of conf/"))
        }

        /// Rewrites every address to port 0 of the loopback and starts the gateway.
        fn start(&self) -> Arc<Gateway> {
            let text = fs::read_to_string(&self.path).expect("the copy");
            let mut tree: Value = serde_yaml::from_str(&text).expect("YAML");
            ports_from_the_system(&mut tree);
            fs::write(&self.path, serde_yaml::to_string(&tree).expect("YAML")).expect("the copy rewritten");
            let source = Source::File(self.path.clone());
            let loaded = source.load().unwrap_or_else(|problems| panic!("{problems}"));
            Gateway::start(source, loaded, Sockets::default()).unwrap_or_else(|error| panic!("{error}"))
        }
    }

    fn ports_from_the_system(tree: &mut Value) {
        let anywhere = Value::from("127.0.0.1:0");
        if tree.get("listen").is_some() {
            tree["listen"] = anywhere.clone();
        }
        match tree.get_mut("admin") {
            Some(Value::Mapping(admin)) => drop(admin.insert("address".into(), anywhere.clone())),
            Some(admin) => *admin = anywhere.clone(),
            None => {}
        }
        let listeners = tree.get_mut("listeners").and_then(Value::as_mapping_mut);
        for (_, listener) in listeners.into_iter().flatten() {
            listener["address"] = anywhere.clone();
        }
        tree["server"] = serde_yaml::from_str("threads: 1").expect("YAML");
        if tree.get("access_log").is_none() {
            tree["access_log"] = "off".into();
        }
    }

    #[track_caller]
    fn main_address(gateway: &Gateway) -> SocketAddr {
        gateway.address("main").expect("what `listen:` makes")
    }

    #[track_caller]
    fn get(gateway: &Gateway, target: &str) -> Response {
        send(main_address(gateway), &Request::get(target))
    }

    #[test]
    fn every_file_is_clean() {
        let entries = fs::read_dir(root().join("conf")).expect("conf/");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        names.sort();
        assert!(names.len() >= 11, "{names:?}");
        for name in names {
            let said = check(&Copy::of_file(&name).path);
            assert!(said.as_ref().is_ok_and(|routes| *routes > 0), "conf/{name}: {said:?}");
        }
    }

    #[test]
    fn every_yaml_block_of_the_readme_is_clean() {
        let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
        let blocks: Vec<&str> =
            readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
        assert!(blocks.len() >= 2, "{} blocks", blocks.len());
        for block in blocks {
            let said = check(&Copy::of(block).path);
            assert!(said.is_ok(), "{block}\n{}", said.unwrap_err());
        }
    }

    /// Every name under `properties` of a schema, at any depth.
    fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(members) => {
                let own = members.get("properties").and_then(serde_json::Value::as_object);
                found.extend(own.into_iter().flat_map(|properties| properties.keys().cloned()));
                members.values().for_each(|member| keys(member, found));
            }
            serde_json::Value::Array(elements) => elements.iter().for_each(|element| keys(element, found)),
            _ => {}
        }
    }

    #[test]
    fn the_readme_names_every_key_of_the_configuration() {
        let mut known = BTreeSet::new();
        keys(&config::schema(), &mut known);
        assert!(known.len() > 50, "{known:?}");
        let missing = missing_in_the_readme(known.iter().map(|key| format!("`{key}`")));
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn the_readme_names_every_reason_with_its_statuses() {
        let rows = Reason::ALL
            .iter()
            .map(|reason| format!("| `{}` | {} | {} |", reason.slug(), reason.status().as_u16(), reason.grpc_status()));
        assert_eq!(missing_in_the_readme(rows), Vec::<String>::new());
    }

    #[test]
    fn the_readme_names_every_metric() {
        let metrics = Metrics::new(MetricsSettings {
            workers: 1,
            max_routes: MetricsSettings::MAX_ROUTES,
            reasons: Reason::SLUGS,
        });
        let text = metrics.render();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE tollgate_")?.split(' ').next());
        let missing = missing_in_the_readme(names.map(|name| format!("`tollgate_{name}`")));
        assert_eq!(missing, Vec::<String>::new());
    }

    fn missing_in_the_readme(expected: impl Iterator<Item = String>) -> Vec<String> {
        let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
        expected.filter(|text| !readme.contains(text)).collect()
    }

    #[test]
    fn minimal_forwards_everything_and_says_when_nobody_is_there() {
        let gateway = Copy::of_file("minimal.yaml").start();
        let answer = get(&gateway, "/anything");
        // Nothing of this test listens on port 3000: whoever runs it may have something there.
        assert!(answer.status == 502 || answer.header("via").is_some(), "{answer:?}");
    }

    #[test]
    fn routing_answers_as_its_comments_say() {
        let gateway = Copy::of_file("routing.yaml").start();
        assert_eq!(get(&gateway, "/v7/status").text(), "fine\n");
        let teapot = get(&gateway, "/teapot");
        assert_eq!((teapot.status, teapot.header("x-pot")), (418, Some("tea")));
        let old = get(&gateway, "/old/a/b?c=d");
        assert_eq!((old.status, old.header("location")), (308, Some("/files/a/b?c=d")));
        assert_eq!(get(&gateway, "/moved").header("location"), Some("https://shop.example/"));
        let wrong_method = get(&gateway, "/orders");
        assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("POST, PUT")));
        assert_eq!(get(&gateway, "/orders/a%2Fb").status, 400);
    }

    #[test]
    fn limits_refuse_what_is_over_them() {
        let gateway = Copy::of_file("limits.yaml").start();
        let large = Request::post("/api/orders", vec![b'x'; 64 * 1024 + 1]);
        assert_eq!(send(main_address(&gateway), &large).status, 413);
        let long = format!("/api/{}", "a".repeat(8 * 1024));
        assert_eq!(send(main_address(&gateway), &Request::get(&long)).status, 414);
    }

    #[test]
    fn rates_refuse_what_is_too_much() {
        let gateway = Copy::of_file("rates.yaml").start();
        let login = || send(main_address(&gateway), &Request::post("/login", "")).status;
        assert_eq!([login(), login(), login(), login(), login(), login()], [401, 401, 401, 401, 401, 429]);
        assert_eq!(get(&gateway, "/health").header("ratelimit"), None);
        assert_eq!(get(&gateway, "/search").status, 200);
    }

    #[test]
    fn shared_limits_without_their_store_are_each_gateway_s_own() {
        // The store of the example is not there: whatever listens on its port is nobody's business here.
        let text = fs::read_to_string(root().join("conf/shared-limits.yaml")).expect("an example");
        let gateway = Copy::of(&text.replace("redis://127.0.0.1:6379", "redis://127.0.0.1:1")).start();
        assert_eq!(get(&gateway, "/products/1").status, 200);
        assert_eq!(get(&gateway, "/reports/1").status, 200);
        assert_eq!(send(main_address(&gateway), &Request::post("/payments", "")).status, 503);
        assert_eq!(get(&gateway, "/health").status, 200);
        let bought = Request::get("/orders/1").header("X-API-Key", "test");
        let bought = send(main_address(&gateway), &bought);
        assert_eq!((bought.status, bought.headers("ratelimit-policy").len()), (200, 2));
    }

    #[test]
    fn plans_bound_who_is_on_them() {
        let gateway = Copy::of_file("plans.yaml").start();
        let with = |key: &str, path: &str| send(main_address(&gateway), &Request::get(path).header("X-API-Key", key));
        let answer = with("test", "/orders/1");
        assert_eq!(answer.status, 502, "nobody listens behind it");
        assert_eq!(answer.headers("ratelimit-policy").len(), 2);
        let statuses: BTreeSet<u16> = (0..30).map(|_| with("test2", "/reports/7").status).collect();
        assert_eq!(statuses, BTreeSet::from([429, 502]));
        assert!(with("test2", "/status").headers("ratelimit").is_empty());
    }

    #[test]
    fn combined_answers_say_which_part_is_missing() {
        let gateway = Copy::of_file("combine.yaml").start();
        let full = get(&gateway, "/orders/7/full");
        assert_eq!((full.status, &full.json()["part"]), (502, &"order".into()));
        let home = get(&gateway, "/home/7?limit=3");
        assert_eq!(home.status, 200);
        let (partial, expected) =
            (home.header("tollgate-partial"), "user;reason=upstream-refused, news;reason=upstream-refused");
        assert_eq!(partial, Some(expected));
        assert_eq!(home.text(), r#"{"hello":"Hello, guest!","news":null,"version":1,"partial":["user","news"]}"#);
        let checkout = send(main_address(&gateway), &Request::post("/checkout", "{}"));
        assert_eq!((checkout.status, &checkout.json()["part"]), (502, &"order".into()));
    }

    #[test]
    fn compression_as_each_client_likes_it() {
        let gateway = Copy::of_file("compress.yaml").start();
        let coding = |target: &str, accept: &str| {
            let asked = Request::get(target).header("Accept-Encoding", accept);
            send(main_address(&gateway), &asked).header("content-encoding").map(str::to_owned)
        };
        assert_eq!(coding("/products", "gzip, br").as_deref(), Some("br"));
        assert_eq!(coding("/products", "gzip, br;q=0.5").as_deref(), Some("gzip"));
        assert_eq!(coding("/report", "gzip"), None, "shorter than 4 KiB");
        assert_eq!(coding("/events", "zstd").as_deref(), Some("zstd"));
        assert_eq!(coding("/account", "zstd"), None);
    }

    #[test]
    fn changes_are_made_as_their_comments_say() {
        let gateway = Copy::of_file("transform.yaml").start();
        let hello = send(main_address(&gateway), &Request::post("/hello/ann", ""));
        let header = |name: &str| hello.header(name);
        assert_eq!(
            (header("x-greeted"), header("x-changed"), header("x-powered-by")),
            (Some("ann"), Some("yes"), Some("patience"))
        );
        assert_eq!(
            (header("content-language"), header("set-cookie")),
            (Some("en"), Some("seen=ann; Path=/; HttpOnly"))
        );
        assert_eq!(get(&gateway, "/hello/ann").header("x-changed"), None);
        let status = get(&gateway, "/status/cart?by=ann");
        assert_eq!(status.text(), "{\"service\":\"cart\",\"by\":\"ann\",\"state\":\"up\"}");
        let moved = get(&gateway, "/old-orders/7");
        let host = main_address(&gateway).ip().to_string();
        assert_eq!(moved.header("location"), Some(format!("/orders/7?from={host}&tenant=none").as_str()));
        let invoice = send(main_address(&gateway), &Request::get("/invoices/7").header("Accept", "application/xml"));
        assert_eq!(invoice.text(), "<invoice id=\"7\"/>");
    }

    #[test]
    fn keys_open_what_is_theirs() {
        let gateway = Copy::of_file("auth-keys.yaml").start();
        let refused = get(&gateway, "/orders/1");
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("ApiKey realm=\"keys\"")));
        let with_key = Request::get("/orders/1").header("X-API-Key", "the-key-of-acme-next-for-tests");
        assert_eq!(send(main_address(&gateway), &with_key).status, 502, "nobody listens behind it");
        assert_eq!(get(&gateway, "/catalog/1").status, 502);
        let with = |name: &str, value: &str| {
            send(main_address(&gateway), &Request::get("/back-office/1").header(name, value)).status
        };
        assert_eq!(get(&gateway, "/back-office/1").headers("www-authenticate").len(), 2);
        // Keys of the digests in the configuration and in the list beside it.
        assert_eq!(["test", "test2", "unknown"].map(|key| with("X-API-Key", key)), [502, 502, 401]);
        // ann:the-password-of-ann-for-tests
        let ann = "Basic YW5uOnRoZS1wYXNzd29yZC1vZi1hbm4tZm9yLXRlc3Rz";
        assert_eq!([ann, "Basic YW5uOm90aGVy"].map(|field| with("Authorization", field)), [502, 401]);
    }

    #[test]
    fn callers_that_others_vouch_for() {
        let gateway = Copy::of_file("auth-ask.yaml").start();
        let with = |target: &str, name: &str, value: &str| {
            send(main_address(&gateway), &Request::get(target).header(name, value)).status
        };
        assert_eq!(get(&gateway, "/orders/1").header("www-authenticate"), Some("Bearer realm=\"tollgate\""));
        // Left to another provider, of which this route has none; nobody is asked.
        assert_eq!(with("/orders/1", "Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."), 401);
        // Nothing of this test listens on port 9180; whoever does has not said yes.
        assert_ne!(get(&gateway, "/account/1").status, 200);
        assert_eq!(get(&gateway, "/partner/1").headers("www-authenticate").len(), 2);
        assert_eq!(with("/partner/1", "Signature-Input", "s=(\"@method\");created=1;keyid=\"mobile\""), 401);
    }

    #[test]
    fn tokens_of_services_pass_and_others_are_told_what_is_asked_for() {
        let gateway = Copy::of_file("auth-jwt.yaml").start();
        let none = get(&gateway, "/reports/1");
        assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer realm=\"services\"")));
        let signer = crate::support::tokens::Signer::with_secret(b"a-secret-for-tests-that-is-long-enough");
        let expires = crate::support::tokens::now() + 60;
        let claims = serde_json::json!({ "client_id": "svc-billing", "aud": "orders", "exp": expires });
        for path in ["/reports/1", "/orders/1"] {
            let request = Request::get(path).header("Authorization", &format!("Bearer {}", signer.token(&claims)));
            assert_eq!(send(main_address(&gateway), &request).status, 200, "{path}");
        }
    }

    #[test]
    fn the_cache_says_what_it_did() {
        let gateway = Copy::of_file("cache.yaml").start();
        for path in ["/catalog/1", "/search?q=a&utm=b", "/news"] {
            let answer = get(&gateway, path);
            // Nothing of this test listens behind it.
            assert_eq!((answer.status, answer.header("cache-status")), (502, Some("tollgate; fwd=uri-miss")), "{path}");
        }
        let asked = Request::get("/news").header("Cache-Control", "only-if-cached");
        assert_eq!(send(main_address(&gateway), &asked).status, 504);
        let own = Request::get("/account/1").header("X-API-Key", "test");
        assert_eq!(send(main_address(&gateway), &own).header("cache-status"), Some("tollgate; fwd=uri-miss"));
        let preview = own.header("X-Preview", "1");
        let past = send(main_address(&gateway), &preview);
        assert_eq!(past.header("cache-status"), Some("tollgate; fwd=bypass; detail=configured"));
    }

    #[test]
    fn a_browser_is_told_to_stay_at_its_version() {
        let gateway = Copy::of_file("rollout.yaml").start();
        let first = get(&gateway, "/checkout/1");
        let issued = first.header("set-cookie").expect("a cookie");
        assert!(issued.starts_with("checkout_version=") && issued.contains("Max-Age=2592000"), "{issued}");
        let pair = issued.split(';').next().unwrap_or_default();
        let again = Request::get("/checkout/1").header("Cookie", pair);
        assert_eq!(send(main_address(&gateway), &again).header("set-cookie"), None);
        // Nobody listens behind the mirror either, which is nobody's business.
        assert_eq!(get(&gateway, "/search?q=a").status, 502);
        assert_eq!(get(&gateway, "/prices/7").status, 502);
        let away = get(&gateway, "/catalog/7");
        assert_eq!((away.status, away.header("retry-after")), (503, Some("30")));
        assert_eq!(away.text(), r#"{"message":"The catalog is away, /catalog/7 too."}"#);
    }

    #[test]
    fn maintenance_says_when_it_is_over() {
        let gateway = Copy::of_file("faults.yaml").start();
        let away = get(&gateway, "/reports/today");
        assert_eq!((away.status, away.header("retry-after")), (503, Some("3600")));
    }

    #[test]
    fn replies_are_the_operators_own() {
        let gateway = Copy::of_file("replies.yaml").start();
        let missing = get(&gateway, "/nowhere");
        assert_eq!((missing.status, missing.header("content-type")), (404, Some("text/html; charset=utf-8")));
        assert!(missing.text().contains("Nothing here"), "{missing:?}");
        let large = send(main_address(&gateway), &Request::post("/shop/orders", vec![b'x'; 1025]));
        assert_eq!((large.status, large.text()), (400, "400 too much\n"));
        let bad = get(&gateway, "/shop/%2e%2e/%2e%2e/x");
        assert_eq!((bad.status, bad.json()["error"].as_str()), (400, Some("bad-path")));
    }

    #[test]
    fn operations_guards_the_admin_api_and_answers() {
        let gateway = Copy::of_file("operations.yaml").start();
        assert_eq!(get(&gateway, "/").json()["client"], "welcome");
        let admin = gateway.admin_address().expect("an admin API");
        let ask = |request: Request| send(admin, &request.unidentified());
        assert_eq!(ask(Request::get("/ready")).status, 200);
        assert_eq!(ask(Request::get("/metrics")).status, 401);
        let metrics = ask(Request::get("/metrics").header("Authorization", "Bearer a-token-for-tests"));
        assert!(metrics.text().contains("tollgate_config_revision"), "{metrics:?}");
    }

    #[test]
    fn tls_chooses_by_name_and_asks_partners_for_a_certificate() {
        let copy = Copy::of_file("tls.yaml");
        let gateway = copy.start();
        let public = gateway.address("public").expect("a listener");
        let partners = gateway.address("partners").expect("a listener");
        for name in ["shop.example", "eu.shop.example"] {
            let client = crate::support::client::Client::connect_tls(public, &copy.authority.connector(H1), name);
            let answer = client.expect("a handshake").send(&Request::get("/"));
            assert_eq!(answer.json()["hello"], "there", "{name}");
        }
        let partner = copy.authority.client("partner");
        let known = copy.authority.connector_as(H1, Some(&partner));
        let mut client =
            crate::support::client::Client::connect_tls(partners, &known, "shop.example").expect("a handshake");
        assert_eq!(client.send(&Request::get("/")).status, 200);
        // TLS 1.3 refuses a client without a certificate after its own end of the handshake.
        let stranger =
            crate::support::client::Client::connect_tls(partners, &copy.authority.connector(H1), "shop.example");
        if let Ok(mut stranger) = stranger {
            stranger.send_raw(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            assert!(stranger.read_to_close().is_empty());
        }
    }

    #[test]
    fn auth_allow_lets_each_caller_do_what_it_may() {
        let copy = Copy::of_file("auth-allow.yaml");
        let gateway = copy.start();
        let secure = gateway.address("secure").expect("a listener");
        let (acme, auditor) = (copy.authority.client("acme.example"), copy.authority.client("auditor"));
        let ask = |client: Option<&Identity>, request: &Request| {
            let connector = copy.authority.connector_as(H1, client);
            let client = crate::support::client::Client::connect_tls(secure, &connector, "shop.example");
            client.expect("a handshake").send(request).status
        };
        for (method, target, for_acme, for_auditor, for_nobody) in [
            ("GET", "/orders/1", 200, 403, 401),
            ("GET", "/reports/1", 200, 200, 401),
            ("POST", "/reports/1", 403, 200, 401),
            ("GET", "/exports/acme?format=csv", 200, 403, 401),
            ("GET", "/exports/acme", 403, 403, 401),
            ("GET", "/exports/other?format=csv", 403, 403, 401),
            ("GET", "/tenants/1", 403, 403, 401),
            ("GET", "/me", 200, 200, 401),
            ("GET", "/status", 200, 200, 200),
            ("GET", "/forgotten", 403, 403, 401),
        ] {
            let request = Request::new(method, target);
            let statuses = [Some(&acme), Some(&auditor), None].map(|client| ask(client, &request));
            assert_eq!(statuses, [for_acme, for_auditor, for_nobody], "{method} {target}");
        }
        assert_eq!(ask(Some(&copy.authority.client("stranger")), &Request::get("/me")), 401);
    }

    #[test]
    fn upstreams_and_grpc_start_and_answer_for_missing_services() {
        let gateway = Copy::of_file("resilience.yaml").start();
        assert_eq!(get(&gateway, "/orders/7").status, 502);
        let gateway = Copy::of_file("upstreams.yaml").start();
        assert_eq!(get(&gateway, "/nowhere").status, 404);
        let gateway = Copy::of_file("grpc.yaml").start();
        let clear = gateway.address("clear").expect("a listener");
        assert_eq!(send(clear, &Request::get("/nowhere")).status, 404);
    }

    #[test]
    fn addresses_decide_as_its_comments_say() {
        let gateway = Copy::of_file("addresses.yaml").start();
        for (address, target, status) in [
            ("8.8.8.8", "/", 200),
            ("192.0.2.1", "/", 403),
            ("192.0.2.1", "/status", 200),
            ("10.1.2.3", "/metrics", 200),
            ("fd00::1", "/metrics", 200),
            ("8.8.8.8", "/metrics", 403),
            ("10.1.2.3", "/admin/users", 200),
            ("203.0.113.7", "/admin", 200),
            ("2001:db8:10::9", "/admin", 200),
            ("203.0.113.13", "/admin", 403),
            ("10.66.0.1", "/admin", 403),
            ("8.8.8.8", "/admin", 403),
        ] {
            let response = send(main_address(&gateway), &Request::get(target).header("X-Forwarded-For", address));
            assert_eq!(response.status, status, "{address} {target}");
        }
    }

    #[test]
    fn people_log_in_and_out_as_its_comments_say() {
        let provider = openid::Provider::start();
        let text = fs::read_to_string(root().join("conf/auth-oidc.yaml")).expect("a file of conf/");
        let local = format!("issuer: {}\n      insecure: true", provider.issuer());
        let text =
            text.replace("issuer: https://idp.example", &local).replace("client_id: shop", "client_id: shop client");
        let gateway = Copy::of(&text).start();
        let url = |target: &str| format!("http://{}{target}", main_address(&gateway));
        let mut browser = Browser::default();
        assert_eq!(browser.fetch(&url("/shop/cart")).status, 401);
        assert_eq!(browser.open(&url("/shop/cart")).text(), "Welcome.\n");
        assert_eq!(browser.submit(&url("/shop/cart"), "cross-site").status, 403);
        assert_eq!(browser.submit(&url("/shop/cart"), "same-origin").status, 200);
        assert_eq!(get(&gateway, "/news").text(), "News.\n");
        assert_eq!(browser.follow(&url("/oauth2/logout"), "same-origin", 5).text(), "See you.\n");
        assert_eq!(browser.fetch(&url("/shop/cart")).status, 401);
        let legacy = |name: &str, value: &str| {
            let request =
                Request::post("/legacy/x", "y").header("Cookie", "a=b").header("Sec-Fetch-Site", "cross-site");
            send(main_address(&gateway), &request.header(name, value)).status
        };
        assert_eq!((legacy("X-Requested-With", "x"), legacy("Origin", "https://app.example")), (200, 200));
        assert_eq!(legacy("Origin", "https://evil.example"), 403);
    }

    #[test]
    fn browsers_are_told_what_its_comments_say() {
        let gateway = Copy::of_file("browsers.yaml").start();
        let ask = |request: Request| send(main_address(&gateway), &request);
        let products = ask(Request::get("/products").header("Origin", "https://shop.example"));
        assert_eq!(products.header("access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(products.header("x-frame-options"), Some("DENY"));
        let preflight = |origin: &str, method: &str| {
            let request = Request::new("OPTIONS", "/cart").header("Origin", origin);
            ask(request.header("Access-Control-Request-Method", method))
        };
        for origin in ["https://shop.example", "https://eu.shop.example", "http://localhost:3000"] {
            let allowed = preflight(origin, "PUT");
            assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, Some(origin)));
            assert_eq!(allowed.header("access-control-max-age"), Some("3600"));
        }
        assert_eq!(preflight("https://evil.example", "PUT").status, 403);
        assert_eq!(preflight("https://shop.example", "DELETE").status, 405);
        assert_eq!(ask(Request::new("PUT", "/cart").header("Origin", "https://evil.example")).status, 403);
        let fonts = get(&gateway, "/fonts/a.woff2");
        assert_eq!(fonts.header("access-control-allow-origin"), Some("*"));
        assert_eq!(fonts.header("cross-origin-resource-policy"), Some("cross-origin"));
        let page = get(&gateway, "/");
        assert_eq!(page.header("content-security-policy"), Some("default-src 'self'; frame-ancestors 'self'"));
        assert_eq!(
            (page.header("x-frame-options"), page.header("referrer-policy")),
            (Some("SAMEORIGIN"), Some("no-referrer"))
        );
    }

    #[test]
    fn the_unit_names_what_the_gateway_has() {
        let unit = fs::read_to_string(root().join("conf/tollgate.service")).expect("the unit");
        for line in ["Type=forking", "PIDFile=/run/tollgate/pid", "NoNewPrivileges=yes"] {
            assert!(unit.lines().any(|known| known == line), "{line}");
        }
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("gateway.yaml");
        let server = unit.lines().find_map(|line| line.strip_prefix("#   server: ")).expect("the settings it asks for");
        fs::write(&path, format!("listen: 127.0.0.1:0\nserver: {server}\nroutes: {{ /: {{ respond: {{}} }} }}\n"))
            .expect("a file");
        assert_eq!(check(&path), Ok(1));
    }
}
