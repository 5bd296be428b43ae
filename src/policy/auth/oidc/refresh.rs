//! Renewals, one at a time for a session.
//!
//! A provider that rotates refresh tokens takes a second use of one for theft and ends the login. So the requests of a
//! page that all come with the same expired session share one renewal, and those that come shortly after with the old
//! cookie, which a browser sent before it had the new one, get the same outcome. What is remembered is bounded and lives
//! for a minute or two; a renewal goes on when the client that began it has left.

use super::session::Session;
use super::token::TokenError;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an outcome is handed out, at least; twice that at most.
const KEPT: Duration = Duration::from_secs(60);
/// So many sessions may be under renewal or just renewed; more have to wait for room.
const MOST: usize = 8192;

/// What came of a renewal.
pub type Renewed = Result<Arc<Session>, TokenError>;

type Flight = Shared<BoxFuture<'static, Renewed>>;

/// The renewals under way and those just over.
#[derive(Default)]
pub struct Renewals(Mutex<Flights>);

#[derive(Default)]
struct Flights {
    by_token: HashMap<[u8; 32], (Instant, Flight)>,
    swept: Option<Instant>,
}

impl Renewals {
    /// Renews what `token` stands for with `work`, unless somebody does so already.
    pub async fn renew(&self, token: &str, work: impl Future<Output = Renewed> + Send + 'static) -> Renewed {
        let Some((key, flight)) = self.flight(token, Instant::now(), work) else {
            return Err(TokenError::Unavailable("too many sessions are being renewed".into()));
        };
        let renewed = flight.clone().await;
        if matches!(renewed, Err(TokenError::Unavailable(_))) {
            // The token may still be good: the next request asks again.
            let by_token = &mut self.0.lock().by_token;
            if by_token.get(&key).is_some_and(|(_, known)| known.ptr_eq(&flight)) {
                by_token.remove(&key);
            }
        }
        renewed
    }

    fn flight(
        &self,
        token: &str,
        now: Instant,
        work: impl Future<Output = Renewed> + Send + 'static,
    ) -> Option<([u8; 32], Flight)> {
        // A digest, so that no token lies about longer than its session is in use.
        let key: [u8; 32] = digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()?;
        let mut flights = self.0.lock();
        flights.sweep(now);
        if let Some((_, flight)) = flights.by_token.get(&key) {
            return Some((key, flight.clone()));
        }
        if flights.by_token.len() >= MOST {
            return None;
        }
        let task = tokio::spawn(work);
        let lost = || Err(TokenError::Unavailable("the renewal was cut off".into()));
        let flight = async move { task.await.unwrap_or_else(|_| lost()) }.boxed().shared();
        flights.by_token.insert(key, (now, flight.clone()));
        Some((key, flight))
    }
}

impl Flights {
    /// Forgets what is older than a minute; looked at again when a minute has passed, or when there is no room.
    fn sweep(&mut self, now: Instant) {
        let due = self.swept.is_none_or(|swept| now.duration_since(swept) >= KEPT);
        if due || self.by_token.len() >= MOST {
            self.by_token.retain(|_, (began, _)| now.duration_since(*began) < KEPT);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    fn renewed() -> Renewed {
        let claims = serde_json::Map::new();
        let id = "s".into();
        Ok(Arc::new(Session { id, claims, began: 0, seen: 0, refresh: None, renew_at: None }))
    }

    #[tokio::test]
    async fn one_token_is_used_once_however_many_ask() {
        let (renewals, calls) = (Renewals::default(), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let calls = Arc::clone(&calls);
            async move {
                tokio::task::yield_now().await;
                calls.fetch_add(1, SeqCst);
                renewed()
            }
        };
        let (one, two) = tokio::join!(renewals.renew("t", work()), renewals.renew("t", work()));
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        renewals.renew("t", work()).await.unwrap();
        assert_eq!(calls.load(SeqCst), 1);
        renewals.renew("other", work()).await.unwrap();
        assert_eq!(calls.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn a_minute_later_it_is_asked_anew_and_memory_is_bounded() {
        let renewals = Renewals::default();
        let now = Instant::now();
        for number in 0..MOST {
            assert!(renewals.flight(&number.to_string(), now, async { renewed() }).is_some());
        }
        assert!(renewals.flight("one more", now, async { renewed() }).is_none());
        assert!(renewals.flight("0", now, async { renewed() }).is_some());
        assert!(renewals.flight("one more", now + KEPT, async { renewed() }).is_some());
        assert_eq!(renewals.0.lock().by_token.len(), 1);
    }

    #[tokio::test]
    async fn what_could_not_be_asked_is_asked_again_and_what_was_refused_is_not() {
        let renewals = Renewals::default();
        let failed = |error: TokenError| async move { Err(error) };
        let down = TokenError::Unavailable("down".into());
        assert_eq!(renewals.renew("t", failed(down.clone())).await, Err(down));
        assert!(renewals.renew("t", async { renewed() }).await.is_ok());
        assert_eq!(renewals.renew("u", failed(TokenError::Grant)).await, Err(TokenError::Grant));
        assert_eq!(renewals.renew("u", async { renewed() }).await, Err(TokenError::Grant));
    }

    #[tokio::test]
    async fn a_client_that_leaves_does_not_stop_it() {
        let (renewals, calls) = (Renewals::default(), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&calls);
        drop(renewals.flight("t", Instant::now(), async move {
            seen.fetch_add(1, SeqCst);
            renewed()
        }));
        renewals.renew("t", async { renewed() }).await.unwrap();
        assert_eq!(calls.load(SeqCst), 1);
    }
}
