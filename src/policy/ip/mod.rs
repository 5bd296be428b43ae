//! `ip`: which addresses may call a route.
//!
//! Stage: Guard. Hook: on the head. Judged by the client's address: the peer's, or what trusted proxies say of it, and
//! never by what anyone else writes into a field. Deny beats allow, whatever is more specific; where `allow` is given,
//! an address must stand in it. Nothing is carried over a reload: lists are read with the configuration, and again by
//! themselves when their files change. Fails closed: a list that cannot be read refuses the configuration, and one that
//! goes bad later leaves in service what was read before. Example: `conf/addresses.yaml`.

mod list;
mod set;

pub use list::{BadList, Empty, ListFile, parse};
pub use set::NetworkSet;

use super::{ChainBuilder, Decision, OnRequest, Setup, Stage};
use crate::reply::Reason;
use crate::request::{RequestCx, RequestView};
use crate::value::form::{list_form, with_list_form};
use crate::value::{Network, OneOrMany, Problem, Spanned};
use list::Watch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Which addresses may call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "IpConfig", deny_unknown_fields, default)]
#[schemars(transform = with_list_form("Networks that may call; nobody else may."))]
pub struct IpConfig {
    /// Networks that may call; nobody else may. Default: all that are not denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Spanned<OneOrMany<Spanned<Network>>>>,
    /// Networks that may not call, even where `allow` holds them. Default none.
    pub deny: OneOrMany<Spanned<Network>>,
    /// Files of networks that belong to `allow`: one a line, `#` begins a comment; read again when they change.
    pub allow_from: OneOrMany<Spanned<String>>,
    /// Files of networks that belong to `deny`.
    pub deny_from: OneOrMany<Spanned<String>>,
}
list_form!(IpConfig, Spanned<Network>, |list| Self { allow: Some(list), ..Self::default() });

impl IpConfig {
    /// What is missing: nobody could pass, or everybody does.
    pub fn missing(written: &Spanned<Self>) -> Option<Problem> {
        let Self { allow, deny, allow_from, deny_from } = &written.value;
        let problem = |place, message, hint| {
            let mut problem = Problem::error(place, message);
            problem.hint(hint);
            Some(problem)
        };
        match allow {
            Some(allow) if allow.is_empty() && allow_from.is_empty() => problem(
                allow.place,
                "`allow` holds no network, so nobody could pass",
                "name networks such as `10.0.0.0/8`, or leave `allow` out",
            ),
            None if allow_from.is_empty() && deny.is_empty() && deny_from.is_empty() => problem(
                written.place,
                "`ip` allows and denies nothing",
                "name networks under `allow` or `deny`, or write `ip: off`",
            ),
            _ => None,
        }
    }
}

/// The compiled policy.
pub struct Ip {
    allow: Option<Networks>,
    deny: Networks,
}

/// Networks of one kind, from the configuration and from files.
#[derive(Default)]
struct Networks {
    written: NetworkSet,
    files: Vec<(Box<str>, Arc<ListFile>)>,
    /// Networks and files in a few words.
    summary: String,
}

impl Networks {
    fn contains(&self, address: IpAddr) -> bool {
        self.written.contains(address) || self.files.iter().any(|(_, file)| file.contains(address))
    }

    fn is_empty(&self) -> bool {
        self.summary.is_empty()
    }

    /// Where an address stands, for an explanation.
    fn place_of(&self, address: IpAddr) -> String {
        let file = self.files.iter().find(|(_, file)| file.contains(address));
        file.map_or_else(|| "in the configuration".to_owned(), |(name, _)| format!("in {name}"))
    }
}

/// The address policies of one configuration: what stands around many routes is compiled once, and a file that several
/// name is read once.
#[derive(Default)]
pub struct Addresses {
    /// By where it is written, which no two are.
    policies: BTreeMap<*const Spanned<IpConfig>, Option<Arc<Ip>>>,
    files: BTreeMap<(PathBuf, Empty), Option<Arc<ListFile>>>,
}

impl Addresses {
    /// Adds the policy to a route; `written` must outlive this value's use, since it is told apart by its address.
    pub fn attach(&mut self, written: &Spanned<IpConfig>, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let key = std::ptr::from_ref(written);
        let compiled = match self.policies.get(&key) {
            Some(compiled) => compiled.clone(),
            None => {
                let compiled = self.compile(&written.value, setup).map(Arc::new);
                self.policies.insert(key, compiled.clone());
                compiled
            }
        };
        if let Some(policy) = compiled {
            chain.on_request(Stage::Guard, policy);
        }
    }

    fn compile(&mut self, written: &IpConfig, setup: &mut Setup<'_>) -> Option<Ip> {
        let none = OneOrMany::default();
        let allowed = written.allow.as_ref().map_or(&none, |allow| &allow.value);
        let allow = self.networks(allowed, (&written.allow_from, Empty::Refused), setup);
        let deny = self.networks(&written.deny, (&written.deny_from, Empty::Accepted), setup);
        let (allow, deny) = (allow?, deny?);
        for network in allowed.iter().filter(|network| deny.written.covers(network.value.get())) {
            setup
                .problems
                .warn(network.place, format!("`{}` is denied as a whole", network.value))
                .hint("`deny` beats `allow`; to deny everybody else, leave `deny` out: `allow` alone does");
        }
        Some(Ip { allow: Some(allow).filter(|allow| !allow.is_empty()), deny })
    }

    /// The networks of one kind; `None` where a file is no list.
    fn networks(
        &mut self,
        written: &OneOrMany<Spanned<Network>>,
        (from, empty): (&OneOrMany<Spanned<String>>, Empty),
        setup: &mut Setup<'_>,
    ) -> Option<Networks> {
        let files: Vec<_> =
            from.iter().map(|name| Some((name.value.as_str().into(), self.file(name, empty, setup)?))).collect();
        let mut summary = match &**written {
            few if few.len() <= 4 => few.iter().map(ToString::to_string).collect(),
            many => vec![format!("{} networks", many.len())],
        };
        summary.extend(from.iter().map(ToString::to_string));
        Some(Networks {
            written: written.iter().map(|network| network.value.get()).collect(),
            files: files.into_iter().collect::<Option<_>>()?,
            summary: summary.join(", "),
        })
    }

    fn file(&mut self, name: &Spanned<String>, empty: Empty, setup: &mut Setup<'_>) -> Option<Arc<ListFile>> {
        let key = (setup.path(name), empty);
        if let Some(read) = self.files.get(&key) {
            return read.clone();
        }
        let read = match ListFile::open(key.0.clone(), empty) {
            Ok(file) => {
                let file = Arc::new(file);
                setup.tended.push(Arc::new(Watch(Arc::clone(&file))));
                Some(file)
            }
            Err(bad) => {
                for problem in bad.problems(&key.0.display().to_string()) {
                    setup.problems.error(name.place, problem.message).hint_if(problem.hint);
                }
                None
            }
        };
        self.files.insert(key, read.clone());
        read
    }
}

impl OnRequest for Ip {
    fn describe(&self) -> String {
        let part = |word, networks: &Networks| format!(" {word} {}", networks.summary);
        let allow = self.allow.as_ref().map(|allow| part("allow", allow));
        let deny = Some(&self.deny).filter(|deny| !deny.is_empty()).map(|deny| part("deny", deny));
        format!("ip{}", allow.into_iter().chain(deny).collect::<Vec<_>>().join(","))
    }

    fn on_request(&self, cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        let address = cx.client.address;
        if self.deny.contains(address) {
            cx.note(|| format!("{address} is denied {}", self.deny.place_of(address)));
            return Decision::reply(Reason::IpDenied);
        }
        match &self.allow {
            Some(allow) if !allow.contains(address) => {
                cx.note(|| format!("{address} stands in no network that is allowed"));
                Decision::reply(Reason::IpDenied)
            }
            Some(allow) => {
                cx.note(|| format!("{address} is allowed {}", allow.place_of(address)));
                Decision::Continue
            }
            None => {
                cx.note(|| format!("{address} is not denied"));
                Decision::Continue
            }
        }
    }
}

#[cfg(test)]
mod tests;
