//! `to:`, in each of its forms.

use super::{EndpointConfig, ValueMatch};
use crate::value::form::{short_form, with_short_form};
use crate::value::written::{Head, NODE, Node, ReadNode, Salvaged, Shape, read_node};
use crate::value::{Named, Spanned, Url};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::convert::Infallible;
use std::str::FromStr;

/// Where a route sends its requests.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetConfig {
    /// The name of an upstream.
    Upstream(String),
    /// The URL of a single endpoint.
    Url(Url),
    /// Several endpoints, or several upstreams by weight.
    List(Vec<Spanned<TargetEntry>>),
}

/// One of several targets.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetEntry {
    /// An upstream and its share.
    Upstream(WeightedUpstream),
    /// An endpoint of the route's own upstream.
    Endpoint(EndpointConfig),
}

/// An upstream and its share.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedUpstream {
    /// Its name.
    pub upstream: Spanned<String>,
    /// Its share, relative to the others; 0 takes it out, save for requests that `when` sends there. Default 1.
    #[serde(default = "one")]
    pub weight: Spanned<u32>,
    /// The endpoints of it that these requests are for: those that have all of these labels. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Box<Spanned<Named<String>>>>,
    /// Requests that go there whatever the shares: all of it must hold. Of several entries the first counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Box<Spanned<WhenConfig>>>,
}

/// What tells requests that go to one upstream of several.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhenConfig {
    /// Headers, by name.
    pub header: Named<ValueMatch>,
    /// Query parameters, by name.
    pub query: Named<ValueMatch>,
    /// Cookies, by name.
    pub cookie: Named<ValueMatch>,
}

fn one() -> Spanned<u32> {
    Spanned::nowhere(1)
}

impl<'de> Deserialize<'de> for TargetConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = TargetConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<TargetConfig, N::Error> {
                match head.shape {
                    Shape::List => {
                        let entries = node.value::<Vec<Salvaged<Spanned<TargetEntry>>>>()?;
                        Ok(TargetConfig::List(entries.into_iter().filter_map(|entry| entry.0).collect()))
                    }
                    Shape::Map => Ok(TargetConfig::List(vec![node.value()?])),
                    Shape::Scalar | Shape::Nothing => {
                        let text = node.value::<String>()?;
                        if text.contains("://") {
                            return node.value::<Url>().map(TargetConfig::Url);
                        }
                        if text.is_empty() {
                            return Err(N::Error::custom("`to` names no upstream"));
                        }
                        Ok(TargetConfig::Upstream(text))
                    }
                }
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

/// Which of two maps is meant is told by the presence of `url`.
#[derive(Deserialize)]
struct HasUrl {
    url: Option<serde::de::IgnoredAny>,
}

impl<'de> Deserialize<'de> for TargetEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = TargetEntry;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<TargetEntry, N::Error> {
                let is_endpoint = head.shape != Shape::Map || node.value::<HasUrl>()?.url.is_some();
                if is_endpoint {
                    return node.value().map(TargetEntry::Endpoint);
                }
                node.value().map(TargetEntry::Upstream)
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CalledConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The upstream alone."))]
pub struct CalledConfig {
    /// The upstream: its name, or the URL of its one endpoint.
    pub upstream: Spanned<String>,
    /// The endpoints of it that have all of these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Spanned<Named<String>>>,
}

impl FromStr for CalledConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { upstream: Spanned::nowhere(text.to_owned()), subset: None })
    }
}
short_form!(CalledConfig, "an upstream, or a map with `upstream` and `subset`", |called, place| called
    .upstream
    .place = place);
