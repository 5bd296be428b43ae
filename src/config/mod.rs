//! What operators write: plain serde types, defaults on the fields; nothing here runs.
//!
//! The doc comments of these types are the descriptions of the JSON Schema: they speak to operators.

mod affinity;
mod batch;
mod check;
mod combine;
mod consumer;
mod defaults;
mod events;
mod fallback;
mod fmt;
mod gateway;
mod grpc;
mod hedge;
mod listener;
mod load;
mod message;
mod mirror;
mod route;
mod route_key;
mod socket;
mod target;
mod upstream;
pub mod yaml;

pub use affinity::AffinityConfig;
pub use batch::{BatchConfig, MOST_BATCHED};
pub use check::weight as check_weight;
pub use combine::{CombineConfig, MarkConfig, MergeConfig, PartCacheConfig, PartConfig};
pub use consumer::{ConsumerConfig, KeyConfig, Moment, ProofConfig};
pub use defaults::{EncodedSlashConfig, MOST_REPLAYED, Policies, RetriesConfig, RetryOn, RouteDefaults};
pub use events::EventsConfig;
pub use fallback::FallbackConfig;
pub use fmt::{Formatted, fmt, fmt_long};
pub use gateway::{AccessLogConfig, AdminConfig, Config, LogFormat, PressureConfig, ReplyTemplate, ServerConfig};
pub use grpc::{GrpcClientsConfig, GrpcConfig, GrpcJsonConfig, UnknownFieldsConfig};
pub use hedge::{HedgeAfter, HedgeConfig};
pub use listener::{
    CertificateConfig, ClientAuth, ConnectionLimits, ListenerConfig, ListenerProtocol, TlsConfig, TlsVersion,
};
pub use load::{Failed, Loaded, load, load_str, read, read_str};
pub use message::MessageConfig;
pub use mirror::{CompareConfig, Compared, MOST_MIRRORED, MirrorConfig};
pub use route::{ApiConfig, MatchConfig, RedirectConfig, RouteConfig, ValueMatch};
pub use route_key::{RouteKey, Routes};
pub use socket::{EachConfig, SocketConfig};
pub use target::{CalledConfig, TargetConfig, TargetEntry, WeightedUpstream, WhenConfig};
pub use upstream::{
    BalanceConfig, BreakerConfig, BreakerScope, DiscoverConfig, EjectionConfig, EndpointConfig, HashConfig,
    HealthConfig, OverloadConfig, StatusRange, UpstreamConfig, UpstreamTlsConfig,
};

/// The JSON Schema (2020-12) of the configuration, from the same types that read it.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".into(), "Tollgate configuration".into());
    schema.to_value()
}

#[cfg(test)]
mod tests;
