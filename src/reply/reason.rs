//! The closed list of reasons, and everything that follows from one: status, gRPC status, title, blame, keep or close.

use http::StatusCode;

/// Whether the client's connection can carry the next request after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The framing is sound: keep the connection.
    Open,
    /// Where the request ends is not known, or is not worth reading: close.
    Close,
}

/// Whose fault a reply is, for the log and for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request itself.
    Client,
    /// The service behind the gateway.
    Upstream,
    /// The gateway's own state.
    Gateway,
}

/// What one reason means on the wire.
struct Meaning {
    slug: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
    /// gRPC status code (<https://grpc.io/docs/guides/status-codes/>).
    grpc: u8,
    blame: Blame,
    keep: Keep,
    /// Error token of `Proxy-Status` (RFC 9209 §2.3).
    proxy_error: &'static str,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, grpc $grpc:literal, $blame:ident, $keep:ident, $proxy:literal, $title:literal, $detail:literal;)*) => {
        /// Why the gateway answers by itself. The slug is stable: it is the last part of the problem type, the label of
        /// `tollgate_refusals_total` and the name templates are given by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The slugs of all reasons, in the same order.
            pub const SLUGS: &[&str] = &[$($slug,)*];

            fn meaning(self) -> &'static Meaning {
                match self {
                    $(Self::$name => &Meaning {
                        slug: $slug, status: $status, title: $title, detail: $detail, grpc: $grpc,
                        blame: Blame::$blame, keep: Keep::$keep, proxy_error: $proxy,
                    },)*
                }
            }
        }
    };
}

reasons! {
    /// The request line or a field is malformed, or Host is missing, doubled or unreadable (RFC 9112 §3.2).
    BadRequest = "bad-request", 400, grpc 3, Client, Close, "http_request_error", "Bad request",
        "The request is malformed.";
    /// The length of the request is ambiguous (RFC 9112 §6.3).
    AmbiguousFraming = "ambiguous-framing", 400, grpc 3, Client, Close, "http_request_error", "Ambiguous framing",
        "The length of the request cannot be told without doubt. Send one Content-Length, or Transfer-Encoding: chunked, not both.";
    /// The path has malformed escapes, control characters, or climbs above its root.
    BadPath = "bad-path", 400, grpc 3, Client, Open, "http_request_error", "Bad path",
        "The path is malformed, or holds an encoded slash or backslash that this route refuses.";
    /// Credentials are given in more ways than one, so that which of them counts is not plain (RFC 6750 §3.1).
    AmbiguousCredentials = "ambiguous-credentials", 400, grpc 3, Client, Open, "http_request_denied", "Ambiguous credentials",
        "Credentials are given more than once. Send them once, in one place.";
    /// The body is not what it says it is, so that it cannot be changed as the route asks.
    BadBody = "bad-body", 400, grpc 3, Client, Close, "http_request_error", "Bad body",
        "The body is not what its Content-Type or Content-Encoding says.";
    /// What the request says makes no message of the method that the route calls.
    InvalidMessage = "invalid-message", 400, grpc 3, Client, Open, "http_request_error", "Invalid message",
        "The request does not make the message that this route needs.";
    /// A browser came back from a login that cannot be completed.
    LoginFailed = "login-failed", 400, grpc 16, Client, Open, "http_request_denied", "Login failed",
        "The login could not be completed; try again.";
    /// The route asks for credentials and the request brings none.
    NoCredentials = "no-credentials", 401, grpc 16, Client, Open, "http_request_denied", "Unauthorized",
        "This route asks for credentials; see WWW-Authenticate.";
    /// The credentials are unknown, malformed or not accepted here.
    BadCredentials = "bad-credentials", 401, grpc 16, Client, Open, "http_request_denied", "Unauthorized",
        "The credentials are not accepted here.";
    /// The credentials have expired.
    ExpiredToken = "expired-token", 401, grpc 16, Client, Open, "http_request_denied", "Unauthorized",
        "The credentials have expired; get new ones.";
    /// The caller is known and may not do this.
    Forbidden = "forbidden", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "The caller may not do this.";
    /// The caller's token lacks a scope (RFC 6750 §3.1).
    InsufficientScope = "insufficient-scope", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "The token lacks a scope this route asks for.";
    /// The client's address may not use this route.
    IpDenied = "ip-denied", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "This address may not use this route.";
    /// The page's origin may not use this route (Fetch, "CORS protocol").
    CorsDenied = "cors-denied", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "Pages of this origin may not use this route.";
    /// A request that changes something came with a cookie from a page of another site.
    CsrfDenied = "csrf-denied", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "A request with a cookie must come from this site.";
    /// The page's origin may not open a WebSocket on this route (RFC 6455 §4.2.2).
    OriginDenied = "origin-denied", 403, grpc 7, Client, Open, "http_request_denied", "Forbidden",
        "Pages of this origin may not connect to this route.";
    /// Nothing is published at this host and path.
    NoRoute = "no-route", 404, grpc 12, Client, Open, "destination_not_found", "Not found",
        "Nothing is published at this host and path.";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, grpc 12, Client, Open, "http_request_denied", "Method not allowed",
        "This path does not answer this method; see Allow.";
    /// The client took too long to send its request.
    SlowRequest = "slow-request", 408, grpc 4, Client, Close, "http_request_error", "Request timeout",
        "The request did not arrive in time.";
    /// The body is over the route's limit.
    BodyTooLarge = "body-too-large", 413, grpc 8, Client, Close, "http_request_denied", "Content too large",
        "The body is larger than this route accepts.";
    /// The request target is over the listener's limit.
    UriTooLong = "uri-too-long", 414, grpc 3, Client, Close, "http_request_error", "URI too long",
        "The request target is longer than this gateway accepts.";
    /// The protocol of the request cannot be carried over this connection.
    UnsupportedProtocol = "unsupported-protocol", 415, grpc 12, Client, Open, "http_request_denied", "Unsupported protocol",
        "This kind of request cannot be carried over this connection.";
    /// The TLS name and the Host are served by different certificates (RFC 9110 §15.5.20).
    WrongHost = "wrong-host", 421, grpc 5, Client, Close, "http_request_denied", "Misdirected request",
        "This connection was made for another host; open a new one.";
    /// The caller or client is over a limit of the route.
    RateLimited = "rate-limited", 429, grpc 8, Client, Open, "http_request_denied", "Too many requests",
        "Too many requests; try again later.";
    /// The caller has used up what it may use in a long time.
    QuotaExceeded = "quota-exceeded", 429, grpc 8, Client, Open, "http_request_denied", "Quota exceeded",
        "The quota is used up.";
    /// The caller has as many requests under way as it may.
    TooManyInFlight = "too-many-in-flight", 429, grpc 8, Client, Open, "http_request_denied", "Too many requests",
        "As many requests of this caller are under way as may be; try again when one is over.";
    /// The head of the request is over the listener's limits.
    HeadersTooLarge = "headers-too-large", 431, grpc 8, Client, Close, "http_request_error", "Request header fields too large",
        "The header fields are larger or more numerous than this gateway accepts.";
    /// The client left before the answer was complete. In the log and metrics only; nothing is sent.
    ClientClosed = "client-closed", 499, grpc 1, Client, Close, "connection_terminated", "Client closed request",
        "The client closed the connection before the answer was complete.";
    /// A defect of the gateway.
    Internal = "internal", 500, grpc 13, Gateway, Close, "proxy_internal_error", "Internal error",
        "The gateway failed to handle this request.";
    /// No endpoint accepted the connection.
    UpstreamRefused = "upstream-refused", 502, grpc 14, Upstream, Open, "connection_refused", "Bad gateway",
        "The service behind this route refuses connections.";
    /// The endpoint closed the connection before its answer was complete.
    UpstreamReset = "upstream-reset", 502, grpc 14, Upstream, Open, "connection_terminated", "Bad gateway",
        "The service behind this route closed the connection before it had answered.";
    /// The endpoint's answer is not HTTP, or breaks its own framing.
    UpstreamInvalid = "upstream-invalid", 502, grpc 14, Upstream, Open, "http_protocol_error", "Bad gateway",
        "The service behind this route gave an answer that is not valid HTTP.";
    /// The body of the endpoint's answer is too large, or not what it says, so that it cannot be changed as the route asks.
    UpstreamBody = "upstream-body", 502, grpc 14, Upstream, Close, "http_protocol_error", "Bad gateway",
        "The service behind this route gave an answer that cannot be translated.";
    /// The endpoint's answer is an error, and is told as the api tells errors.
    UpstreamError = "upstream-error", 502, grpc 2, Upstream, Open, "http_protocol_error", "Bad gateway",
        "The service behind this route answered with an error.";
    /// A service that answers a part of a combined answer refused it, or did not say what another part needs.
    PartFailed = "part-failed", 502, grpc 14, Upstream, Open, "http_protocol_error", "Bad gateway",
        "A service behind this route could not answer its part.";
    /// The endpoint's certificate was refused or TLS failed.
    UpstreamTls = "upstream-tls", 502, grpc 14, Upstream, Open, "tls_protocol_error", "Bad gateway",
        "A secure connection to the service behind this route could not be made.";
    /// The name of the upstream has never been resolved.
    NoName = "no-name", 502, grpc 14, Upstream, Open, "dns_error", "Bad gateway",
        "The name of the service behind this route cannot be resolved.";
    /// The upstream has no endpoint to ask.
    NoEndpoint = "no-endpoint", 503, grpc 14, Upstream, Open, "destination_unavailable", "Service unavailable",
        "No instance of the service behind this route can be asked.";
    /// Too many requests to the upstream failed lately.
    BreakerOpen = "breaker-open", 503, grpc 14, Upstream, Open, "destination_unavailable", "Service unavailable",
        "The service behind this route is failing and is left alone for a moment.";
    /// As many requests to the upstream are under way as it may have.
    UpstreamBusy = "upstream-busy", 503, grpc 14, Gateway, Open, "connection_limit_reached", "Service unavailable",
        "The service behind this route is at its limit; try again later.";
    /// As many requests to the route are under way as it may have.
    RouteBusy = "route-busy", 503, grpc 14, Gateway, Open, "connection_limit_reached", "Service unavailable",
        "As many requests to this route are under way as may be; try again later.";
    /// The route is out of service on purpose.
    Maintenance = "maintenance", 503, grpc 14, Gateway, Open, "destination_unavailable", "Service unavailable",
        "This service is being maintained; try again later.";
    /// Who proves callers cannot be asked.
    ProviderUnavailable = "provider-unavailable", 503, grpc 14, Gateway, Open, "destination_unavailable", "Service unavailable",
        "Credentials cannot be checked at the moment; try again later.";
    /// Whether a limit lets the request pass cannot be told.
    LimitsUnavailable = "limits-unavailable", 503, grpc 14, Gateway, Open, "destination_unavailable", "Service unavailable",
        "Limits cannot be checked at the moment; try again later.";
    /// The gateway, a listener or an upstream has more to do than it can.
    Overloaded = "overloaded", 503, grpc 14, Gateway, Open, "connection_limit_reached", "Service unavailable",
        "The gateway is at its limit; try again later.";
    /// No byte of the answer came in time.
    UpstreamTimeout = "upstream-timeout", 504, grpc 4, Upstream, Open, "connection_read_timeout", "Gateway timeout",
        "The service behind this route did not answer in time.";
    /// The client asked for an answer from memory or none, and there is none (RFC 9111 §5.2.1.7).
    NotCached = "not-cached", 504, grpc 5, Client, Open, "http_request_denied", "Not cached",
        "The request asks for a kept answer alone, and there is none.";
    /// The route's deadline passed, all attempts together.
    Deadline = "deadline", 504, grpc 4, Upstream, Open, "http_response_timeout", "Gateway timeout",
        "The time allowed for this request has passed.";
}

impl Reason {
    /// The stable name: `no-route`.
    pub fn slug(self) -> &'static str {
        self.meaning().slug
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.meaning().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether a request that is refused for this costs nothing of any limit: there is too much of something, or nobody
    /// to ask. What is refused for what it is (no right to it, malformed) costs what it would have, or guessing
    /// credentials would be free.
    pub fn costs_nothing(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::QuotaExceeded
                | Self::TooManyInFlight
                | Self::RouteBusy
                | Self::UpstreamBusy
                | Self::Overloaded
                | Self::NoName
                | Self::NoEndpoint
                | Self::BreakerOpen
                | Self::Maintenance
        )
    }

    /// The title of the problem (RFC 9457 §3.1.3): the same for every occurrence.
    pub fn title(self) -> &'static str {
        self.meaning().title
    }

    /// The usual sentence.
    pub fn detail(self) -> &'static str {
        self.meaning().detail
    }

    /// The gRPC status code.
    pub fn grpc_status(self) -> u8 {
        self.meaning().grpc
    }

    /// Whose fault it is.
    pub fn blame(self) -> Blame {
        self.meaning().blame
    }

    /// Keep or close the connection.
    pub fn keep(self) -> Keep {
        self.meaning().keep
    }

    /// The error token of `Proxy-Status` (RFC 9209 §2.3).
    pub fn proxy_error(self) -> &'static str {
        self.meaning().proxy_error
    }

    /// Position in [`Self::ALL`], for tables of counters.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The reason of that slug.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.slug() == slug)
    }

    /// Seconds for `Retry-After` where the reason implies one: the states that pass by themselves.
    pub fn retry_after(self) -> Option<u32> {
        matches!(
            self,
            Self::NoEndpoint | Self::BreakerOpen | Self::UpstreamBusy | Self::ProviderUnavailable | Self::Overloaded
        )
        .then_some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_found_again() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_slug(reason.slug()), Some(*reason));
        }
    }

    #[test]
    fn index_is_the_position_in_the_list() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), position);
        }
    }

    #[test]
    fn doubtful_framing_always_closes() {
        for reason in [Reason::AmbiguousFraming, Reason::BadRequest, Reason::SlowRequest, Reason::HeadersTooLarge] {
            assert_eq!(reason.keep(), Keep::Close, "{}", reason.slug());
        }
    }
}
