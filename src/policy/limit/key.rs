//! What a limit counts by.

use super::store::LimitStore;
use crate::request::{RequestCx, RequestView};
use crate::value::Invalid;
use crate::value::form::text_form;
use http::HeaderName;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

/// What a limit counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// The client's address; of IPv6 the first 64 bits, which one subscriber has.
    Client,
    /// The caller; the client's address where there is none.
    Consumer,
    /// The credential the caller used; the caller where it has no name.
    Credential,
    /// The route.
    Route,
    /// The api.
    Api,
    /// The value of a header field; requests without it are counted together.
    Header(HeaderName),
    /// A claim of the caller's token, by its path; requests without it are counted together.
    Claim(String),
    /// A piece of the path, by the name it has in the route's pattern.
    Capture(String),
}

impl LimitKey {
    /// Whether the caller must be known.
    pub fn needs_caller(&self) -> bool {
        matches!(self, Self::Consumer | Self::Credential | Self::Claim(_))
    }
}

impl FromStr for LimitKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is nothing to count by"))
                .hint("write client, consumer, credential, route, api, `header X-Name`, `claim name` or `capture name`")
        };
        match text.split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            None => match text {
                "client" => Ok(Self::Client),
                "consumer" => Ok(Self::Consumer),
                "credential" => Ok(Self::Credential),
                "route" => Ok(Self::Route),
                "api" => Ok(Self::Api),
                _ => Err(wrong()),
            },
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| wrong()),
            Some(("claim", path)) if !path.is_empty() && !path.contains(' ') => Ok(Self::Claim(path.to_owned())),
            Some(("capture", name)) if !name.is_empty() && !name.contains(' ') => Ok(Self::Capture(name.to_owned())),
            Some(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Consumer => f.write_str("consumer"),
            Self::Credential => f.write_str("credential"),
            Self::Route => f.write_str("route"),
            Self::Api => f.write_str("api"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Claim(path) => write!(f, "claim {path}"),
            Self::Capture(name) => write!(f, "capture {name}"),
        }
    }
}

text_form!(LimitKey, "client, consumer, credential, route, api, `header X-Name`, `claim name` or `capture name`", {
    "examples": ["consumer", "client", "header X-Tenant", "capture id"],
});

/// A part of a key, compiled.
#[derive(Clone, Debug)]
pub struct Part {
    key: LimitKey,
    /// For a capture, its place among those of the route's pattern.
    place: usize,
}

impl Part {
    /// A part; `place` finds the place of a capture by its name.
    ///
    /// # Errors
    /// The capture that the route does not have.
    pub fn new(key: &LimitKey, place: &mut dyn FnMut(&str) -> Option<usize>) -> Result<Self, String> {
        let place = match key {
            LimitKey::Capture(name) => place(name).ok_or_else(|| name.clone())?,
            _ => 0,
        };
        Ok(Self { key: key.clone(), place })
    }
}

/// What a limit counts by, compiled: what is the same for every request is hashed in already.
#[derive(Debug)]
pub struct Key {
    /// Names the limit itself: the same over a reload as long as its meaning is the same.
    identity: u64,
    varying: Box<[Part]>,
}

impl Key {
    /// A key of these parts. `identity` is what names the limit: where it is written, its name and its rate; route and
    /// api are part of it where they are among `parts`.
    pub fn new(store: &LimitStore, identity: &[&str], parts: Vec<Part>, (route, api): (&str, &str)) -> Self {
        let identity = store.lasting_hash(|mut hasher| {
            identity.hash(&mut hasher);
            for part in &parts {
                part.key.to_string().hash(&mut hasher);
                match part.key {
                    LimitKey::Route => (api, route).hash(&mut hasher),
                    LimitKey::Api => api.hash(&mut hasher),
                    _ => {}
                }
            }
        });
        let varying = parts.into_iter().filter(|part| !matches!(part.key, LimitKey::Route | LimitKey::Api));
        Self { identity, varying: varying.collect() }
    }

    /// Tells the limits of a request apart.
    pub fn id(&self) -> u64 {
        self.identity
    }

    /// Writes the key of a request to a hasher.
    pub fn write(&self, mut hasher: &mut dyn Hasher, cx: &RequestCx, request: &RequestView<'_>) {
        self.identity.hash(&mut hasher);
        self.write_parts(hasher, cx, request);
    }

    /// Writes what varies from request to request alone: the same in every gateway.
    pub fn write_parts(&self, hasher: &mut dyn Hasher, cx: &RequestCx, request: &RequestView<'_>) {
        self.varying.iter().for_each(|part| part.write(hasher, cx, request));
    }

    /// Whether it counts callers by their name and nothing else, so that anybody can be told what one has left.
    pub fn counts_callers(&self) -> bool {
        matches!(&*self.varying, [Part { key: LimitKey::Consumer, .. }])
    }

    /// Writes what [`Self::write`] writes for a caller of that name, where [`Self::counts_callers`].
    pub fn write_for(&self, mut hasher: &mut dyn Hasher, caller: &str) {
        self.identity.hash(&mut hasher);
        Self::write_parts_for(hasher, caller);
    }

    /// Writes what [`Self::write_parts`] writes for a caller of that name, where [`Self::counts_callers`].
    pub fn write_parts_for(hasher: &mut dyn Hasher, caller: &str) {
        write_caller(hasher, caller);
    }
}

fn write_caller(mut hasher: &mut dyn Hasher, id: &str) {
    (2_u8, id).hash(&mut hasher);
}

impl Part {
    fn write(&self, mut hasher: &mut dyn Hasher, cx: &RequestCx, request: &RequestView<'_>) {
        match (&self.key, cx.caller()) {
            (LimitKey::Header(name), _) => request.header(name).hash(&mut hasher),
            (LimitKey::Claim(path), caller) => {
                let claim = caller.and_then(|caller| path.split('.').try_fold(&caller.claims, |at, name| at.get(name)));
                claim.map(ToString::to_string).hash(&mut hasher);
            }
            (LimitKey::Capture(_), _) => {
                cx.changes.asked.as_ref().and_then(|asked| asked.captures.get(self.place)).hash(&mut hasher);
            }
            (LimitKey::Credential, Some(caller)) if caller.credential.is_some() => {
                (1_u8, &caller.provider, &caller.credential).hash(&mut hasher);
            }
            (LimitKey::Consumer | LimitKey::Credential, Some(caller)) => write_caller(hasher, &caller.id),
            // Somebody without a name is told apart by where it is.
            _ => (3_u8, subscriber(cx.client.address)).hash(&mut hasher),
        }
    }
}

/// The address as far as one subscriber has it to itself: all of IPv4, 64 bits of IPv6 (RFC 6177).
pub fn subscriber(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Asked, Caller};
    use http::HeaderMap;
    use std::sync::Arc;

    fn hash(store: &LimitStore, parts: &[&str], cx: &RequestCx) -> u64 {
        let part = |part: &&str| Part::new(&part.parse().unwrap(), &mut |_| Some(0)).unwrap();
        let parts = parts.iter().map(part).collect();
        let key = Key::new(store, &["here", "name", "1/s"], parts, ("/a", "shop"));
        let mut headers = HeaderMap::new();
        headers.insert("x-tenant", "t1".parse().unwrap());
        let view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
        store.lasting_hash(|hasher| key.write(hasher, cx, &view))
    }

    fn from(address: &str, caller: Option<&str>) -> RequestCx {
        let mut cx = RequestCx::at(0);
        cx.client.address = address.parse().unwrap();
        cx.identity.caller = caller.map(|id| {
            let claims = serde_json::json!({ "org": { "id": id } });
            Arc::new(Caller { id: id.into(), claims, ..Caller::default() })
        });
        cx
    }

    #[test]
    fn reads_and_writes_each_key() {
        for text in
            ["client", "consumer", "credential", "route", "api", "header x-tenant", "claim org.id", "capture id"]
        {
            assert_eq!(text.parse::<LimitKey>().unwrap().to_string(), text);
        }
        for text in ["", "header", "header a b", "claim ", "capture", "capture a b", "ip", "user"] {
            assert!(text.parse::<LimitKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn callers_are_told_apart_and_the_nameless_by_address() {
        let store = LimitStore::new(10);
        let of = |parts: &[&str], address, caller| hash(&store, parts, &from(address, caller));
        assert_eq!(of(&["consumer"], "10.0.0.1", Some("a")), of(&["consumer"], "10.0.0.2", Some("a")));
        assert_ne!(of(&["consumer"], "10.0.0.1", Some("a")), of(&["consumer"], "10.0.0.1", Some("b")));
        assert_ne!(of(&["consumer"], "10.0.0.1", None), of(&["consumer"], "10.0.0.2", None));
        assert_ne!(of(&["claim org.id"], "10.0.0.1", Some("a")), of(&["claim org.id"], "10.0.0.1", Some("b")));
        assert_eq!(of(&["header x-tenant"], "10.0.0.1", None), of(&["header x-tenant"], "10.0.0.2", None));
        assert_ne!(
            of(&["client", "consumer"], "10.0.0.1", Some("a")),
            of(&["client", "consumer"], "10.0.0.2", Some("a"))
        );
    }

    #[test]
    fn pieces_of_the_path_are_told_apart() {
        let store = LimitStore::new(10);
        let of = |parts: &[&str], piece: &str, caller| {
            let mut cx = from("10.0.0.1", caller);
            let nothing = || "".into();
            let captures = [Box::from(piece)].into();
            cx.changes.asked = Some(Box::new(Asked { host: nothing(), path: nothing(), query: None, captures }));
            hash(&store, parts, &cx)
        };
        assert_ne!(of(&["capture id"], "1", None), of(&["capture id"], "2", None));
        assert_eq!(of(&["capture id"], "1", Some("a")), of(&["capture id"], "1", Some("b")));
        let both = ["consumer", "capture id"];
        assert_ne!(of(&both, "1", Some("a")), of(&both, "1", Some("b")));
        assert_ne!(of(&both, "1", Some("a")), of(&both, "2", Some("a")));
    }

    #[test]
    fn the_key_of_a_caller_can_be_told_from_its_name() {
        let store = LimitStore::new(10);
        let part = Part::new(&LimitKey::Consumer, &mut |_| None).unwrap();
        let key = Key::new(&store, &["here"], vec![part], ("", ""));
        let mut headers = HeaderMap::new();
        let view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
        let cx = from("10.0.0.1", Some("acme"));
        assert!(key.counts_callers());
        assert_eq!(
            store.hash(|hasher| key.write(hasher, &cx, &view)),
            store.hash(|hasher| key.write_for(hasher, "acme"))
        );
    }

    #[test]
    fn one_subscriber_has_one_key_in_ipv6() {
        let store = LimitStore::new(10);
        let of = |address| hash(&store, &["client"], &from(address, None));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
