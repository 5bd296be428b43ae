//! The closed label sets: request methods, statuses, outcomes of attempts, protocols, reasons for refusing connections.

/// Makes a closed label set: the enum, how many there are, all of them in order, and the label of each.
macro_rules! label_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];
            pub(super) const COUNT: usize = Self::ALL.len();

            /// The value of the label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

label_set! {
    /// How a stream of events ended.
    StreamEnd {
        /// The upstream ended it.
        Upstream = "upstream",
        /// The upstream broke it off.
        Failed = "failed",
        /// The client left.
        Client = "client",
        /// It was as old as it may be.
        Life = "life",
        /// The process, its listener or its route went.
        Drained = "drained",
    }
}

label_set! {
    /// How a WebSocket connection ended.
    SocketEnd {
        /// The client sent the first Close.
        Client = "client",
        /// The upstream did.
        Upstream = "upstream",
        /// The client's connection ended without one.
        ClientLost = "client_lost",
        /// The upstream's did, or either was too slow to take what was sent.
        UpstreamLost = "upstream_lost",
        /// The client broke the protocol.
        Protocol = "protocol",
        /// The upstream did.
        UpstreamProtocol = "upstream_protocol",
        /// A frame or a message was too large.
        TooLarge = "too_large",
        /// Too much came in a time.
        TooFast = "too_fast",
        /// There was no message for too long.
        Idle = "idle",
        /// A ping was not answered.
        Pong = "pong",
        /// It was as old as it may be.
        Life = "life",
        /// The caller's credentials expired.
        Expired = "expired",
        /// The process, its listener or its route went.
        Drained = "drained",
    }
}

label_set! {
    /// What the cache did for a request of a route that caches.
    CacheOutcome {
        /// Answered from memory.
        Hit = "hit",
        /// Answered from memory though out of date.
        Stale = "stale",
        /// What was in memory was confirmed by the upstream.
        Revalidated = "revalidated",
        /// Waited for another request that fetched the same.
        Collapsed = "collapsed",
        /// The upstream was asked, and its answer is kept.
        Miss = "miss",
        /// What was in memory was out of date and is replaced.
        Expired = "expired",
        /// The upstream was asked, and its answer is not kept.
        Uncacheable = "uncacheable",
        /// The request went past the cache.
        Bypass = "bypass",
    }
}

label_set! {
    /// What came of the copy of a request.
    MirrorOutcome {
        /// It was answered; nothing is compared, or there was nothing to compare it with.
        Answered = "answered",
        /// Both answers are the same.
        Same = "same",
        /// They differ.
        Different = "different",
        /// It was not answered, or not in time.
        Failed = "failed",
        /// Not sent: as many are under way as may be.
        Busy = "busy",
        /// Not sent: the body is too long.
        TooLarge = "too_large",
        /// Not sent: the body did not come to its end.
        Incomplete = "incomplete",
    }
}

label_set! {
    /// What two answers differ in.
    MirrorDifference {
        /// Their statuses.
        Status = "status",
        /// Their header fields.
        Headers = "headers",
        /// Their bodies.
        Json = "json",
    }
}

label_set! {
    /// What came of a request of a batch.
    BatchOutcome {
        /// It was answered, whatever with.
        Answered = "answered",
        /// It could not be read.
        Malformed = "malformed",
        /// The time of the batch was over.
        Late = "late",
        /// Its answer was longer than a batch can tell.
        TooLarge = "too_large",
        /// There was no room for its answer.
        NoRoom = "no_room",
        /// The gateway did not answer itself.
        Failed = "failed",
    }
}

label_set! {
    /// What came of a second attempt beside the first.
    HedgeOutcome {
        /// It answered first.
        Won = "won",
        /// The first attempt did.
        Lost = "lost",
        /// Neither did.
        Failed = "failed",
        /// Not made: there is no other endpoint.
        Alone = "alone",
        /// Not made: the budget of retries is used up.
        OverBudget = "over_budget",
    }
}

label_set! {
    /// What stands in for an upstream that is out.
    FallbackKind {
        /// Another upstream.
        Upstream = "upstream",
        /// The answer that is written.
        Answer = "answer",
        /// A kept answer that is out of date.
        Stale = "stale",
    }
}

label_set! {
    /// A request method as a label: those of RFC 9110 §9.3 and PATCH (RFC 5789), and one for all others, since a client
    /// may invent as many as it likes.
    Method {
        /// GET
        Get = "GET",
        /// HEAD
        Head = "HEAD",
        /// POST
        Post = "POST",
        /// PUT
        Put = "PUT",
        /// DELETE
        Delete = "DELETE",
        /// CONNECT
        Connect = "CONNECT",
        /// OPTIONS
        Options = "OPTIONS",
        /// TRACE
        Trace = "TRACE",
        /// PATCH
        Patch = "PATCH",
        /// Any other token.
        Other = "other",
    }
}

impl Method {
    /// The label of a method token; methods are case-sensitive.
    pub fn of(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

label_set! {
    /// What came of one attempt at an endpoint.
    AttemptOutcome {
        /// The endpoint answered, and the client got that answer.
        Answered = "answered",
        /// The endpoint answered with a status on the list to try again on, and another attempt was made.
        RetriedStatus = "retried-status",
        /// No connection: refused, unreachable, or TLS failed.
        Refused = "refused",
        /// The name could not be resolved.
        NoName = "no-name",
        /// The connection broke before the answer was complete.
        Reset = "reset",
        /// Connecting, or waiting for the answer, took too long.
        Timeout = "timeout",
        /// The answer was not legal HTTP.
        Invalid = "invalid",
        /// The client went away, or the gateway gave up, before there was an outcome.
        Abandoned = "abandoned",
    }
}

label_set! {
    /// What became of a client's affinity to an endpoint.
    ReturnOutcome {
        /// It came back to its endpoint.
        Kept = "kept",
        /// It had none yet, and was given one.
        First = "first",
        /// Its endpoint is out or gone, or what it has shown is unknown: it was given another.
        Moved = "moved",
    }
}

label_set! {
    /// Where the connection of an attempt came from.
    ConnectionKind {
        /// Made for this attempt.
        New = "new",
        /// Taken from the pool.
        Reused = "reused",
    }
}

label_set! {
    /// What a limit decided on a request.
    LimitDecision {
        /// It may pass.
        Passed = "passed",
        /// It is over the limit, and was refused.
        Refused = "refused",
        /// It is over a limit that only counts, and passed.
        Shadow = "shadow",
    }
}

label_set! {
    /// What a provider said of a request it was asked about.
    AuthOutcome {
        /// It knows the caller.
        Passed = "passed",
        /// Nothing in the request is for it.
        Absent = "absent",
        /// There is a credential, and it is not good.
        Refused = "refused",
        /// Whoever would know cannot be asked.
        Unavailable = "unavailable",
    }
}

label_set! {
    /// What came of fetching keys.
    FetchOutcome {
        /// They are there.
        Fetched = "fetched",
        /// Nobody answered, or what was answered holds no keys.
        Failed = "failed",
    }
}

label_set! {
    /// Who decided on a limit that several gateways share.
    DecidedBy {
        /// The store.
        Store = "store",
        /// This gateway, of what it has leased.
        Lease = "lease",
        /// This gateway by its own count, since the store was out of reach.
        Local = "local",
        /// Nobody: it passed, since the store was out of reach.
        Open = "open",
        /// Nobody: it was refused, since the store was out of reach.
        Closed = "closed",
    }
}

label_set! {
    /// What a client connection speaks.
    Protocol {
        /// HTTP/1.0 or HTTP/1.1.
        Http1 = "h1",
        /// HTTP/2 over TLS.
        Http2 = "h2",
        /// HTTP/2 without TLS.
        Http2Clear = "h2c",
        /// A WebSocket, after its handshake.
        WebSocket = "websocket",
    }
}

label_set! {
    /// Why a client connection was closed before a request was read.
    ConnectionRefusal {
        /// The listener has as many as it may have.
        TooMany = "too-many",
        /// This client has as many as it may have.
        TooManyFromClient = "too-many-from-client",
        /// This client opens them faster than it may.
        TooFastFromClient = "too-fast-from-client",
        /// The TLS handshake failed or took too long.
        Tls = "tls",
        /// The client's address is not allowed.
        Denied = "denied",
        /// The gateway is stopping.
        Draining = "draining",
    }
}

/// The statuses with a counter of their own: those registered with IANA, nginx's 499, and what Cloudflare and load
/// balancers of AWS are known to send. All others count as [`OTHER_STATUS`].
const STATUSES: [u16; 76] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424,
    425, 426, 428, 429, 431, 451, 460, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 520, 521, 522,
    523, 524, 525, 526, 529, 530, 561,
];

/// Counters in a row of statuses.
pub(super) const STATUS_COUNT: usize = STATUSES.len() + 1;
/// The label of statuses without a counter of their own.
const OTHER_STATUS: &str = "other";
/// One more than the highest status (RFC 9110 §15).
const STATUS_END: usize = 600;

static STATUS_INDEX: [u8; STATUS_END] = status_index();

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, where an index out of range is an error")]
const fn status_index() -> [u8; STATUS_END] {
    let mut table = [STATUSES.len() as u8; STATUS_END];
    let mut index = 0;
    while index < STATUSES.len() {
        table[STATUSES[index] as usize] = index as u8;
        index += 1;
    }
    table
}

/// The place of a status in a row of [`STATUS_COUNT`] counters.
pub(super) fn status_place(status: u16) -> usize {
    STATUS_INDEX.get(usize::from(status)).map_or(STATUSES.len(), |&index| usize::from(index))
}

/// The labels of a row of statuses, in order.
pub(super) fn status_labels() -> impl Iterator<Item = StatusLabel> {
    STATUSES.into_iter().map(StatusLabel::Code).chain([StatusLabel::Other])
}

/// One label of a row of statuses.
pub(super) enum StatusLabel {
    Code(u16),
    Other,
}

impl std::fmt::Display for StatusLabel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "{code}"),
            Self::Other => out.write_str(OTHER_STATUS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_place_and_the_label_of_that_place() {
        let labels: Vec<String> = status_labels().map(|label| label.to_string()).collect();
        assert_eq!(labels.len(), STATUS_COUNT);
        for status in 0..=u16::MAX {
            let label = &labels[status_place(status)];
            let wanted = if STATUSES.contains(&status) { status.to_string() } else { OTHER_STATUS.to_owned() };
            assert_eq!(*label, wanted);
        }
    }

    #[test]
    fn statuses_are_listed_once_in_order() {
        assert!(STATUSES.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn methods_are_case_sensitive_and_unknown_ones_are_one_label() {
        for method in Method::ALL {
            assert_eq!(Method::of(method.label()), *method);
        }
        for token in ["get", "BREW", "", "GET ", "\u{fffd}"] {
            assert_eq!(Method::of(token), Method::Other);
        }
    }
}
