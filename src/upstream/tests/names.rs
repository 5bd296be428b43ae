//! Endpoints given by name, with a resolver that says what it is told.

use tokio::sync::watch;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn named(names: &[&str]) -> Bench {
    Bench::new(spec(names))
}

fn addresses(bench: &Bench) -> Vec<String> {
    bench.upstream.status(bench.now).endpoints.into_iter().map(|endpoint| endpoint.address).collect()
}

#[tokio::test]
async fn before_the_first_answer_there_is_no_endpoint() {
    let mut bench = named(&["shop.test:80"]);
    bench.upstream.resolve_now(&background(&Script::default()), LIMIT).await;
    assert_eq!(bench.try_pick(None, &[]).err(), Some(NoEndpoint::Unresolved));
    let status = bench.upstream.status(bench.now);
    assert_eq!(status.unresolved[0].name, "shop.test");
    assert_eq!(status.unresolved[0].error, "no such name");
}

#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint_of_its_weight() {
    let script = Script::default();
    script.says("shop.test", &["10.0.0.2:80", "10.0.0.1:80"]);
    let mut bench = named(&["shop.test:80 3", "10.0.0.9:80"]);
    bench.upstream.resolve_now(&background(&script), LIMIT).await;
    let shares = bench.shares(70);
    assert_eq!((shares["10.0.0.1:80"], shares["10.0.0.2:80"], shares["10.0.0.9:80"]), (30, 30, 10));
    assert_eq!(bench.endpoint("10.0.0.1:80").label(), "http://shop.test:80@10.0.0.1:80");
    assert_eq!(bench.endpoint("10.0.0.1:80").host_header(), "shop.test");
}

#[tokio::test]
async fn the_order_of_addresses_says_nothing() {
    let (script, bench) = (Script::default(), named(&["shop.test:80"]));
    let background = background(&script);
    script.says("shop.test", &["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"]);
    bench.upstream.resolve_round(&background).await;
    let before = bench.upstream.set.load_full();
    script.says("shop.test", &["10.0.0.1:80", "10.0.0.2:80"]);
    bench.upstream.resolve_round(&background).await;
    assert!(Arc::ptr_eq(&before, &bench.upstream.set.load_full()), "an unchanged answer rebuilds nothing");
    assert_eq!(addresses(&bench), ["10.0.0.1:80", "10.0.0.2:80"]);
}

#[tokio::test]
async fn the_last_answer_is_kept_while_dns_is_down() {
    let (script, mut bench) = (Script::default(), named(&["shop.test:80"]));
    let background = background(&script);
    script.says("shop.test", &["10.0.0.1:80"]);
    assert_eq!(bench.upstream.resolve_round(&background).await, dns::Round::Answered);
    script.is_silent_on("shop.test");
    assert_eq!(bench.upstream.resolve_round(&background).await, dns::Round::Failed);
    assert_eq!(bench.addresses(1), ["10.0.0.1:80"]);
    assert_eq!(bench.upstream.status(bench.now).unresolved.len(), 1);
    script.says("shop.test", &["10.0.0.1:80"]);
    bench.upstream.resolve_round(&background).await;
    assert!(bench.upstream.status(bench.now).unresolved.is_empty());
}

#[tokio::test]
async fn an_answer_without_addresses_is_none() {
    let (script, bench) = (Script::default(), named(&["shop.test:80"]));
    let background = background(&script);
    script.says("shop.test", &["10.0.0.1:80"]);
    bench.upstream.resolve_round(&background).await;
    script.says("shop.test", &[]);
    assert_eq!(bench.upstream.resolve_round(&background).await, dns::Round::Failed);
    assert_eq!(addresses(&bench), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn an_address_that_stays_keeps_its_state() {
    let script = Script::default();
    let background = background(&script);
    let spec = UpstreamSpec { ejection: Some(touchy()), panic_threshold: 0.0, ..spec(&["shop.test:80"]) };
    let bench = Bench::new(spec);
    script.says("shop.test", &["10.0.0.1:80", "10.0.0.2:80"]);
    bench.upstream.resolve_round(&background).await;
    bench.fail("10.0.0.1:80");
    script.says("shop.test", &["10.0.0.1:80", "10.0.0.3:80"]);
    bench.upstream.resolve_round(&background).await;
    assert_eq!(addresses(&bench), ["10.0.0.1:80", "10.0.0.3:80"]);
    assert!(!bench.endpoint("10.0.0.1:80").is_available(bench.now));
}

#[tokio::test]
async fn an_attempt_at_an_address_that_went_away_ends_in_peace() {
    let (script, mut bench) = (Script::default(), named(&["shop.test:80"]));
    let background = background(&script);
    script.says("shop.test", &["10.0.0.1:80"]);
    bench.upstream.resolve_round(&background).await;
    let held = bench.pick();
    script.says("shop.test", &["10.0.0.2:80"]);
    bench.upstream.resolve_round(&background).await;
    bench.upstream.report(&held, Outcome::Failure(FailureKind::Reset), bench.now);
    drop(held);
    assert_eq!(bench.addresses(1), ["10.0.0.2:80"]);
}

#[tokio::test]
async fn one_name_that_fails_does_not_hold_up_another() {
    let (script, bench) = (Script::default(), named(&["shop.test:80", "gone.test:80"]));
    script.says("shop.test", &["10.0.0.1:80"]);
    assert_eq!(bench.upstream.resolve_round(&background(&script)).await, dns::Round::Failed);
    assert_eq!(addresses(&bench), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn a_reload_knows_the_answers_already() {
    let (script, bench) = (Script::default(), named(&["shop.test:80"]));
    script.says("shop.test", &["10.0.0.1:80"]);
    bench.upstream.resolve_round(&background(&script)).await;
    let after = Upstream::new(spec(&["shop.test:80"]), Some(&bench.upstream), 0).unwrap();
    let ask = Ask { hash: None, tried: &[], now: bench.now, random: 0, ..Ask::default() };
    assert_eq!(after.pick(&ask).unwrap().address().to_string(), "10.0.0.1:80");
    // Silent by now: asking would make it a failure.
    after.resolve_now(&background(&Script::default()), LIMIT).await;
    assert!(after.status(bench.now).unresolved.is_empty());
}

#[tokio::test]
async fn ipv4_is_preferred_unless_told_otherwise() {
    let found = |family| async move {
        let script = Script::default();
        script.says("shop.test", &["[::1]:80", "127.0.0.1:80"]);
        let bench = Bench::new(UpstreamSpec { family, ..spec(&["shop.test:80"]) });
        bench.upstream.resolve_round(&background(&script)).await;
        addresses(&bench)
    };
    assert_eq!(found(Family::PreferV4).await, ["127.0.0.1:80"]);
    assert_eq!(found(Family::PreferV6).await, ["[::1]:80"]);
    assert_eq!(found(Family::Any).await, ["127.0.0.1:80", "[::1]:80"]);
}

#[tokio::test]
async fn the_other_family_is_better_than_none() {
    let script = Script::default();
    script.says("shop.test", &["[::1]:80"]);
    let bench = named(&["shop.test:80"]);
    bench.upstream.resolve_round(&background(&script)).await;
    assert_eq!(addresses(&bench), ["[::1]:80"]);
}

/// A resolver that never answers.
struct Hung;

impl Resolve for Hung {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn a_start_does_not_wait_for_ever() {
    let bench = named(&["shop.test:80"]);
    let background = Background::new(Clock::start(), 1, Box::new(Hung));
    bench.upstream.resolve_now(&background, Duration::from_millis(1)).await;
}

#[tokio::test]
async fn the_loop_resolves_at_once_and_ends_when_told() {
    let script = Script::default();
    script.says("shop.test", &["10.0.0.1:80"]);
    let (bench, background) = (named(&["shop.test:80"]), background(&script));
    let (stop, stopped) = watch::channel(false);
    let resolved = async {
        while addresses(&bench).is_empty() {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    let both = async { tokio::join!(bench.upstream.run_resolver(&background, stopped), resolved) };
    tokio::time::timeout(LIMIT, both).await.unwrap();
}

#[tokio::test]
async fn the_loop_ends_when_nobody_is_left_to_stop_it() {
    let (bench, background) = (named(&["shop.test:80"]), background(&Script::default()));
    let (stop, stopped) = watch::channel(false);
    drop(stop);
    tokio::time::timeout(LIMIT, bench.upstream.run_resolver(&background, stopped)).await.unwrap();
}

#[tokio::test]
async fn addresses_need_no_loop() {
    let (bench, background) = (named(&["10.0.0.1:80"]), background(&Script::default()));
    let (_stop, stopped) = watch::channel(false);
    tokio::time::timeout(LIMIT, bench.upstream.run_resolver(&background, stopped)).await.unwrap();
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let found = SystemResolver.resolve("localhost", 81).await.unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 81) && !found.is_empty());
}
