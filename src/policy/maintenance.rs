//! `maintenance:`: answers 503 for a while, whoever asks.
//!
//! Stage: Guard: nobody is authenticated for an answer that is the same for all. Hook: on the head. Example:
//! `conf/faults.yaml`.

use super::{ChainBuilder, Decision, OnRequest, Stage};
use crate::reply::{Reason, Reply};
use crate::request::{RequestCx, RequestView};
use crate::value::Duration;
use crate::value::form::{short_form, with_short_form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

/// The route is out of service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "MaintenanceConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("What clients are told."))]
pub struct MaintenanceConfig {
    /// What clients are told. Default: that the service is being maintained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When they may try again. Default 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl FromStr for MaintenanceConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { detail: Some(text.to_owned()), retry_after: None })
    }
}
short_form!(MaintenanceConfig, "a sentence for clients, or a map");

/// The compiled policy.
struct Maintenance(Reply);

impl MaintenanceConfig {
    /// Compiles what is written and adds the policy's hook to a route.
    pub fn attach(&self, chain: &mut ChainBuilder) {
        let seconds = self.retry_after.map_or(60, |wait| wait.as_millis().div_ceil(1_000).max(1));
        let mut reply = Reply::new(Reason::Maintenance).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX));
        if let Some(detail) = &self.detail {
            reply = reply.detail(detail.clone());
        }
        chain.on_request(Stage::Guard, Arc::new(Maintenance(reply)));
    }
}

impl OnRequest for Maintenance {
    fn on_request(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        Decision::reply(self.0.clone())
    }

    fn describe(&self) -> String {
        "maintenance".to_owned()
    }
}
