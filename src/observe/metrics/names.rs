//! The name, kind and help text of every metric, in the order of the exposition.
//!
//! Seconds and bytes, never milliseconds or kilobytes; counters end in `_total`.

/// One metric family.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// The type named after `# TYPE`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! families {
    ($($ident:ident = $kind:ident $name:literal: $help:literal;)*) => {
        $(pub(super) static $ident: Family = Family { name: $name, kind: Kind::$kind, help: $help };)*
    };
}

families! {
    BUILD_INFO = Gauge "tollgate_build_info": "Always 1; the version is in the label.";
    CONFIG_REVISION = Gauge "tollgate_config_revision": "How many configurations this process has put into service.";
    CONFIG_LAST_RELOAD_SUCCESS = Gauge "tollgate_config_last_reload_success":
        "1 if the last configuration read was put into service, 0 if it was refused.";
    CONFIG_LAST_RELOAD_TIMESTAMP = Gauge "tollgate_config_last_reload_timestamp_seconds":
        "When a configuration was last read, accepted or refused.";
    CERTIFICATE_EXPIRY = Gauge "tollgate_certificate_expiry_timestamp_seconds": "When the certificate expires.";

    CONNECTIONS = Gauge "tollgate_connections": "Client connections open now.";
    CONNECTIONS_TOTAL = Counter "tollgate_connections_total": "Client connections accepted.";
    CONNECTIONS_REFUSED = Counter "tollgate_connections_refused_total":
        "Client connections closed before a request was read.";

    REQUESTS_IN_FLIGHT = Gauge "tollgate_requests_in_flight": "Requests being served now.";
    REQUESTS = Counter "tollgate_requests_total": "Requests finished, by what the client was answered.";
    REQUEST_DURATION = Histogram "tollgate_request_duration_seconds":
        "From the request's head to the last byte of the answer.";
    GATEWAY_DURATION = Histogram "tollgate_gateway_duration_seconds":
        "The part of the request's duration not spent on upstreams.";
    REQUEST_BYTES = Counter "tollgate_request_bytes_total": "Bytes of request bodies received from clients.";
    RESPONSE_BYTES = Counter "tollgate_response_bytes_total": "Bytes of response bodies sent to clients.";
    REFUSALS = Counter "tollgate_refusals_total": "Requests the gateway answered itself, by reason.";
    CSRF_SHADOWED = Counter "tollgate_csrf_shadowed_total":
        "Requests that passed although `csrf` would have refused them: its mode is shadow.";
    AUTH = Counter "tollgate_auth_total": "Questions to providers of callers, by what the provider said.";
    LIMIT_DECISIONS = Counter "tollgate_limit_decisions_total": "What limits decided on requests.";
    QUOTAS_DAMAGED = Gauge "tollgate_quotas_damaged":
        "1 if the file of quotas could not be used at the start, so that they began anew, else 0.";
    QUOTAS_WRITTEN = Gauge "tollgate_quotas_written_timestamp_seconds":
        "What quotas had counted by then is on the disk.";
    QUOTAS_FAILURES = Counter "tollgate_quotas_write_failures_total": "Failures to write the file of quotas.";

    UPSTREAM_DURATION = Histogram "tollgate_upstream_duration_seconds":
        "What one attempt took: from choosing the endpoint to the end of its answer.";
    UPSTREAM_ATTEMPTS = Counter "tollgate_upstream_attempts_total": "Attempts at an endpoint, by what came of them.";
    UPSTREAM_CONNECTIONS = Counter "tollgate_upstream_connections_total":
        "Connections to endpoints taken for an attempt, newly made or reused.";
    UPSTREAM_AFFINITY = Counter "tollgate_upstream_affinity_total":
        "Answers of upstreams with session affinity, by whether the client came back to its endpoint.";
    ENDPOINT_HEALTHY = Gauge "tollgate_endpoint_healthy": "1 if health checks find the endpoint well, else 0.";
    ENDPOINT_EJECTED = Gauge "tollgate_endpoint_ejected": "1 while the endpoint is left out for its failures, else 0.";
    BREAKER_STATE = Gauge "tollgate_breaker_state": "Where the breaker of an upstream stands: 0 closed, 1 half open, 2 open.";

    STREAMS = Gauge "tollgate_event_streams": "Streams of server-sent events open now, of routes with `events`.";
    EVENTS = Counter "tollgate_events_total": "Server-sent events passed on.";
    STREAM_ENDS = Counter "tollgate_event_streams_ended_total": "Streams of server-sent events that have ended, by why.";

    SOCKETS = Gauge "tollgate_websockets": "WebSocket connections open now, of routes with `websocket`.";
    SOCKET_MESSAGES = Counter "tollgate_websocket_messages_total":
        "Messages over WebSocket connections: `in` from clients, `out` to them.";
    SOCKET_BYTES = Counter "tollgate_websocket_bytes_total": "Bytes of the payload of these messages, as sent.";
    SOCKET_ENDS = Counter "tollgate_websocket_closes_total": "WebSocket connections that have ended, by why.";

    MIRRORS = Counter "tollgate_mirrors_total": "Copies of requests, by what came of them.";
    MIRROR_DIFFERENCES = Counter "tollgate_mirror_differences_total":
        "Answers to copies that differ from the first answer, by what they differ in.";

    HEDGES = Counter "tollgate_hedges_total": "Second attempts beside a slow first one, by what came of them.";
    GRPC_CALLS = Counter "tollgate_grpc_calls_total":
        "Calls that routes with `grpc` made, by method and by the status they ended with.";
    FALLBACKS = Counter "tollgate_fallbacks_total":
        "Requests for which something else stood in for an upstream that was out.";

    BATCHES = Counter "tollgate_batched_requests_total": "Requests of batches, by what came of them.";

    CACHE_REQUESTS = Counter "tollgate_cache_requests_total":
        "Requests of routes that cache, by what the cache did for them.";
    CACHE_BYTES = Gauge "tollgate_cache_bytes": "Memory that kept answers take.";
    CACHE_OBJECTS = Gauge "tollgate_cache_objects": "Answers that are kept.";
    CACHE_EVICTED = Counter "tollgate_cache_evicted_total": "Answers that went, or did not stay, for want of room.";
    CACHE_PURGED = Counter "tollgate_cache_purged_total": "Answers that were purged.";
    CACHE_DISK_BYTES = Gauge "tollgate_cache_disk_bytes": "Disk that kept answers take.";
    CACHE_DISK_OBJECTS = Gauge "tollgate_cache_disk_objects": "Answers that are kept on the disk.";
    CACHE_DISK_WRITTEN = Counter "tollgate_cache_disk_written_total": "Answers written to the disk.";
    CACHE_DISK_READ = Counter "tollgate_cache_disk_read_total": "Answers read from the disk for requests.";
    CACHE_DISK_SKIPPED = Counter "tollgate_cache_disk_skipped_total":
        "Answers not written to the disk: unwanted, or more than it takes.";
    CACHE_DISK_DAMAGED = Counter "tollgate_cache_disk_damaged_total":
        "Files that were not as they were written, and were dropped.";
    CACHE_DISK_ERRORS = Counter "tollgate_cache_disk_errors_total": "How often the system refused to read or write.";
    UPSTREAM_IN_FLIGHT = Gauge "tollgate_upstream_in_flight": "Attempts under way at the endpoints of an upstream.";
    UPSTREAM_LIMIT = Gauge "tollgate_upstream_limit":
        "Requests that may wait for an answer of the upstream at once while it is overloaded; 0 when it is not.";
    UPSTREAM_SHED = Counter "tollgate_upstream_shed_total":
        "Requests turned away because the upstream was overloaded.";
    GATHERED_BYTES = Gauge "tollgate_gathered_bytes":
        "Memory that the bodies take which answers are made of.";
    WORKER_DELAY = Gauge "tollgate_worker_delay_seconds": "How long work waited for its turn on a worker, at the last look.";
    GATEWAY_SHED = Counter "tollgate_gateway_shed_total": "Requests turned away because the gateway itself did not keep up.";

    KEY_FETCHES = Counter "tollgate_auth_key_fetches_total": "Fetches of the keys that tokens are checked with.";
    KEYS_STALE = Gauge "tollgate_auth_keys_stale":
        "1 while the keys could not be fetched anew and the ones known stay in service, else 0.";

    SHARED_DECISIONS = Counter "tollgate_shared_decisions_total":
        "Decisions on limits that gateways share, by who made them.";
    SHARED_ERRORS = Counter "tollgate_shared_store_errors_total": "Questions to the shared store without an answer.";
    SHARED_COMMANDS = Counter "tollgate_shared_store_commands_total": "Questions to the shared store, of one script each.";
    SHARED_REACHABLE = Gauge "tollgate_shared_store_reachable":
        "1 while the shared store answers, 0 while the breaker in front of it is open.";
    SHARED_GATEWAYS = Gauge "tollgate_shared_gateways": "Gateways that share the store now, this one included.";
    LIMIT_OVERSHOOT = Gauge "tollgate_limit_overshoot_bound":
        "What may pass beyond a leased limit at most: gateways times what each may have leased.";

    ACCESS_LOG_DROPPED = Counter "tollgate_access_log_dropped_total":
        "Access log lines lost because the queue was full or the file could not be written.";
}
