//! Attempts to be taken for somebody else: by fields, by credentials in odd places, by what was learnt for another provider.

mod credentials;
mod elsewhere;
mod fields;
mod pages;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::origin::Request as Received;

pub const KEY: &str = "a-key-of-twenty-four-chars";
pub const OTHER: &str = "another-key-of-somebody-else";

/// Providers and consumers of a gateway that knows two by their keys.
pub fn keys(provider: &str) -> String {
    format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h1, h2c] }} }}\n\
         auth: {{ keys: {{ api_key: {provider} }} }}\n\
         consumers:\n  acme: {{ keys: {{ value: {KEY}, insecure_inline: true }} }}\n  \
         admin: {{ keys: {{ value: {OTHER}, insecure_inline: true }}, groups: [staff] }}\n"
    )
}

/// The statuses of what comes back for bytes as they are; none where the connection is closed without an answer.
pub fn raw(gateway: &Gateway, text: &str) -> Option<u16> {
    let mut client = Client::connect(gateway.listener("clear"));
    client.send_raw(text.as_bytes());
    client.try_read("GET").ok().map(|response| response.status)
}

/// The values of a field in a request as a service may read its name, where `_` and `.` are as good as `-`.
pub fn named<'a>(request: &'a Received, name: &str) -> Vec<&'a str> {
    let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    request.fields.iter().filter(|(known, _)| fold(known) == name).map(|(_, value)| value.as_str()).collect()
}
