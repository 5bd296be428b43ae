//! Every way to a Redis: with a password, over TLS, through Sentinel, in a cluster.

use std::fmt::Write as _;
use std::process::Command;

use tempfile::TempDir;

use crate::redis::Redis;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::tls::Authority;
use crate::support::wait;

/// A gateway that shares through that setting; in a folder of which paths may be written.
fn through(folder: TempDir, redis: &str) -> Gateway {
    let text = format!(
        "shared_state: {{ redis: {redis} }}\nroutes:\n  /a: {{ respond: {{ body: a }}, limit: [{{ rate: 2/h, per: header X-A, share: exact, name: one }}, {{ rate: 1000/h, share: exact }}] }}\n"
    );
    Gateway::start_in(folder, &text)
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// Whether the store decides: two of three pass, and the metrics say who said so.
fn assert_shares(gateway: &Gateway) {
    gateway.await_metric("tollgate_shared_store_reachable", &[], 1.0);
    let status = |_| gateway.send(&Request::get("/a").header("X-A", "x")).status;
    assert_eq!([0, 1, 2].map(status), [200, 200, 429]);
    assert!(gateway.metric("tollgate_shared_decisions_total", &["by=\"store\""]) >= 5.0);
    assert_eq!(gateway.metric("tollgate_shared_decisions_total", &["by=\"local\""]), 0.0);
}

fn assert_out_of_reach(gateway: &Gateway) {
    assert_eq!(gateway.get("/a").status, 200);
    assert_eq!(gateway.metric("tollgate_shared_store_reachable", &[]), 0.0);
    assert_eq!(gateway.metric("tollgate_shared_decisions_total", &["by=\"store\""]), 0.0);
}

#[test]
fn a_password_is_asked_for_and_never_shown() {
    let redis = Redis::start(&["--requirepass", "hunter2hunter2"]);
    let folder = folder();
    std::fs::write(folder.path().join("secret"), "hunter2hunter2\n").expect("a secret");
    let written = format!("{{ url: \"{}\", password: $file:secret, timeout: 2s }}", redis.url());
    let gateway = through(folder, &written);
    assert_shares(&gateway);
    for page in ["/config", "/metrics", "/shared", "/explain?url=/a"] {
        assert!(!gateway.page(page).text().contains("hunter2"), "{page}");
    }
    let folder = self::folder();
    std::fs::write(folder.path().join("secret"), "another\n").expect("a secret");
    assert_out_of_reach(&through(folder, &written));
    assert_out_of_reach(&through(self::folder(), &redis.url()));
}

#[test]
fn a_server_with_tls_is_checked_against_its_name_and_may_ask_for_a_certificate() {
    let authority = Authority::new();
    let server = authority.server("redis", &["redis.internal"]);
    let (cert, key) = (server.certificate.display().to_string(), server.key.display().to_string());
    let ca = authority.certificate().display().to_string();
    let redis = Redis::with_tls(&[
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ]);
    let client = authority.client("gateway");
    let identity = format!("cert: {}, key: {}", client.certificate.display(), client.key.display());
    let url = format!("rediss://127.0.0.1:{}", redis.port);
    let tls = |tls: &str| format!("{{ url: \"{url}\", tls: {{ {tls} }}, timeout: 2s }}");
    let good = through(folder(), &tls(&format!("ca: {ca}, server_name: redis.internal, {identity}")));
    assert_shares(&good);
    // Another name, another authority, no certificate of the gateway.
    assert_out_of_reach(&through(folder(), &tls(&format!("ca: {ca}, server_name: other.internal, {identity}"))));
    assert_out_of_reach(&through(folder(), &tls(&format!("server_name: redis.internal, {identity}"))));
    assert_out_of_reach(&through(folder(), &tls(&format!("ca: {ca}, server_name: redis.internal"))));
}

#[test]
fn sentinel_names_the_server_and_the_one_that_takes_its_place() {
    let mut master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    let sentinel = Redis::sentinel(master.port);
    let replica_port = replica.port.to_string();
    wait::until("the sentinel knows the replica", || {
        sentinel.cli(&["sentinel", "replicas", "main"]).contains(&replica_port)
    });
    wait::until("the replica follows", || replica.cli(&["info", "replication"]).contains("master_link_status:up"));
    let gateway = through(
        folder(),
        &format!("{{ sentinel: {{ master: main, nodes: \"127.0.0.1:{}\" }}, timeout: 2s }}", sentinel.port),
    );
    assert_shares(&gateway);
    let key = master.cli(&["keys", "tollgate:limit:one:*"]);
    wait::until("the replica has it all", || replica.cli(&["get", &key]) == master.cli(&["get", &key]));
    master.kill();
    wait::until("the replica has taken over", || replica.cli(&["info", "replication"]).contains("role:master"));
    let by_store = || gateway.metric("tollgate_shared_decisions_total", &["by=\"store\""]);
    let asked = || gateway.send(&Request::get("/a").header("X-A", "x")).status;
    wait::until("it decides, and knows what was counted", || {
        let before = by_store();
        let status = asked();
        let decided = by_store() > before;
        assert!(!decided || status == 429, "the count was lost");
        decided
    });
}

#[test]
fn keys_of_a_cluster_lie_on_different_nodes_and_what_is_refused_is_undone() {
    let nodes: Vec<Redis> = (0..3).map(|_| Redis::start(&["--cluster-enabled", "yes"])).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]);
    create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
    let created = create.args(["--cluster-replicas", "0", "--cluster-yes"]).output().expect("redis-cli");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    wait::until("the cluster stands", || {
        nodes.iter().all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
    });
    let mut list = String::new();
    for node in &nodes {
        let _ = write!(list, "\"127.0.0.1:{}\", ", node.port);
    }
    let gateway = through(folder(), &format!("{{ cluster: [{list}], timeout: 2s }}"));
    assert_shares(&gateway);
    for value in 0..20 {
        assert_eq!(gateway.send(&Request::get("/a").header("X-A", &value.to_string())).status, 200);
    }
    let keys: Vec<String> = nodes.iter().map(|node| node.cli(&["keys", "tollgate:limit:*"])).collect();
    assert!(keys.iter().all(|keys| keys.contains("limit")), "{keys:?}");
}
