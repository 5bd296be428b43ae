//! From what is written to what judges tokens.

use super::cache::Tokens;
use super::caller::Mapping;
use super::carrier::Carriers;
use super::claims::{Audience, Rules};
use super::config::{JwksConfig, JwtConfig, RequiredClaims};
use super::inline::{self, Inline};
use super::{Inner, Jwt};
use crate::policy::Setup;
use crate::policy::auth::jwks::{Algorithms, Family, KeySet, Keys, Source, Wanted, read_file};
use crate::policy::auth::service;
use crate::request::IDENTITY_FIELDS;
use crate::value::{OrOff, Place, Spanned, WebUrl};
use http::{HeaderName, header};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Tokens remembered unless told otherwise.
const USUAL_CACHE: u32 = 10_000;
/// More leeway than any two clocks need.
const MOST_LEEWAY: Duration = Duration::from_secs(600);
/// What a 401 names unless told otherwise.
const USUAL_REALM: &str = "tollgate";
/// Fields that say how the message is framed and routed: no token stands in them.
const FRAME: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::VIA,
];

/// Where keys come from, and those that are known at once.
struct Origin {
    source: Source,
    set: Option<KeySet>,
    family: Family,
}

impl From<Inline> for Origin {
    fn from(inline: Inline) -> Self {
        Self { source: Source::Fixed, set: Some(inline.set), family: inline.family }
    }
}

impl Jwt {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<JwtConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let algorithms = algorithms(written, setup);
        let origin = origin(written, algorithms, setup);
        let rules = rules(written, setup);
        let carriers = carriers(written, setup);
        let mapping = mapping(name, written, setup);
        let (origin, rules, carriers, mapping) = (origin?, rules?, carriers?, mapping?);
        let accepted = algorithms.unwrap_or_else(|| Algorithms::of(origin.family));
        if accepted.iter().any(|algorithm| algorithm.family() != origin.family) {
            return None; // said where the key was read
        }
        let previous = previous.map(|jwt| &jwt.0);
        let wanted = Wanted { name: name.into(), source: origin.source, algorithms: accepted };
        let keys = Keys::new(wanted, origin.set, previous.map(|inner| &inner.keys), setup);
        let same = previous.filter(|inner| inner.written == written.value && Arc::ptr_eq(&inner.keys, &keys));
        let size = usize::try_from(written.cache.unwrap_or(USUAL_CACHE)).unwrap_or(usize::MAX);
        let tokens = match same.and_then(|inner| inner.tokens.clone()) {
            Some(kept) => Some(kept),
            None => (size > 0).then(|| Tokens::new(size).map(Arc::new)).flatten(),
        };
        let realm = written.realm.as_deref().unwrap_or(USUAL_REALM).into();
        let written = written.value.clone();
        Some(Arc::new(Self(Arc::new(Inner {
            written,
            carriers,
            algorithms: accepted,
            keys,
            rules,
            mapping,
            tokens,
            realm,
        }))))
    }
}

/// The algorithms that are written; all of one family.
fn algorithms(written: &JwtConfig, setup: &mut Setup<'_>) -> Option<Algorithms> {
    let named = written.algorithms.as_ref()?;
    let first = named.first()?;
    if let Some(other) = named.iter().find(|algorithm| algorithm.family() != first.family()) {
        setup
            .problems
            .error(other.place, format!("`{}` and `{}` do not go together", first.value, other.value))
            .hint(
                "secrets (HS…) and public keys need providers of their own: else a public key might pass for a secret",
            )
            .related(first.place, "the first is here");
    }
    Some(named.iter().map(|algorithm| algorithm.value).filter(|own| own.family() == first.family()).collect())
}

/// Where the keys are: exactly one of `key`, `jwks`, and discovery at the `issuer`.
fn origin(written: &Spanned<JwtConfig>, allowed: Option<Algorithms>, setup: &mut Setup<'_>) -> Option<Origin> {
    let found: Origin = match (&written.key, &written.jwks, &written.issuer) {
        (Some(key), Some(jwks), _) => {
            setup
                .problems
                .error(key.place, "`key` and `jwks` both say which keys count")
                .related(jwks.place, "`jwks` is here");
            return None;
        }
        (Some(key), None, _) => inline::one(key, allowed, setup)?.into(),
        (None, Some(jwks), _) => from_jwks(jwks, written.insecure, allowed, setup)?,
        (None, None, Some(issuer)) => {
            over_tls(&issuer.value, issuer.place, written.insecure, setup)?;
            Origin { source: Source::Issuer(issuer.value.clone()), set: None, family: Family::Public }
        }
        (None, None, None) => {
            setup
                .problems
                .error(written.place, "no keys: a token cannot be checked")
                .hint("write `issuer:`, `jwks:` or `key:`");
            return None;
        }
    };
    let other = allowed.and_then(|allowed| allowed.iter().find(|algorithm| algorithm.family() != found.family));
    if let Some(other) = other {
        let what = match found.family {
            Family::Public => "public keys",
            Family::Secret => "secrets",
        };
        let place = written.algorithms.iter().flatten().next().map_or(written.place, |first| first.place);
        setup.problems.error(place, format!("`{other}` does not go with {what}"));
        return None;
    }
    Some(found)
}

fn from_jwks(
    jwks: &Spanned<JwksConfig>,
    insecure: bool,
    allowed: Option<Algorithms>,
    setup: &mut Setup<'_>,
) -> Option<Origin> {
    let public = allowed.unwrap_or_else(|| Algorithms::of(Family::Public));
    match &jwks.value {
        JwksConfig::Inline(set) => {
            let found = inline::set(set, allowed, setup);
            if found.is_none() && set.keys.is_empty() {
                setup.problems.error(jwks.place, "there are no keys in the set");
            }
            found.map(Into::into)
        }
        JwksConfig::Url(url) => {
            over_tls(url, jwks.place, insecure, setup)?;
            Some(Origin { source: Source::Url(url.clone()), set: None, family: Family::Public })
        }
        JwksConfig::File(file) => {
            let path = setup.path(&Spanned::new(file.clone(), jwks.place));
            let wrong = match read_file(&path, public) {
                Ok(read) if read.keys.is_empty() => {
                    format!("no key in it can be used: {}", read.ignored.first().copied().unwrap_or("there is none"))
                }
                Ok(read) => {
                    let set = Some(KeySet::new(read.keys));
                    return Some(Origin { source: Source::File(path), set, family: Family::Public });
                }
                Err(why) => why,
            };
            setup.problems.error(jwks.place, format!("{}: {wrong}", path.display()));
            None
        }
    }
}

/// Who can change what is fetched can make tokens.
fn over_tls(url: &WebUrl, place: Place, insecure: bool, setup: &mut Setup<'_>) -> Option<()> {
    let in_clear = ("keys that come in clear text can be exchanged on the way", "for tests on one machine");
    service::may_be_asked((url, place), insecure, in_clear, setup)
}

fn rules(written: &JwtConfig, setup: &mut Setup<'_>) -> Option<Rules> {
    let leeway = written.leeway.unwrap_or_default();
    if *leeway.value > MOST_LEEWAY {
        setup.problems.error(leeway.place, "no two clocks are that far apart").hint("write at most `10m`");
        return None;
    }
    let audience = match &written.audience {
        None => Audience::OneOf(Box::default()),
        Some(OrOff::Off) => Audience::Any,
        Some(OrOff::On(names)) => Audience::OneOf(names.iter().map(|name| name.value.as_str().into()).collect()),
    };
    let required = match &written.required_claims {
        None => Box::default(),
        Some(RequiredClaims::Names(names)) => {
            names.iter().map(|name| (name.value.as_str().into(), Box::default())).collect()
        }
        Some(RequiredClaims::Values(values)) => values
            .iter()
            .map(|(name, value)| {
                let values = match value {
                    Value::Array(several) => several.clone(),
                    one => vec![one.clone()],
                };
                (name.value.as_str().into(), values.into())
            })
            .collect(),
    };
    let issuer = written.issuer.as_ref().map(|issuer| issuer.as_str().into());
    Some(Rules { issuer, audience, leeway: leeway.as_secs(), required })
}

fn carriers(written: &JwtConfig, setup: &mut Setup<'_>) -> Option<Carriers> {
    let Some(from) = &written.from else {
        return Some(Carriers { header: Some(header::AUTHORIZATION), cookie: None, query: None });
    };
    if from.header.is_none() && from.cookie.is_none() && from.query.is_none() {
        setup.problems.error(from.place, "a token must stand somewhere").hint("write `header:`, `cookie:` or `query:`");
        return None;
    }
    let header = match &from.header {
        None => None,
        Some(name) => Some(field_name(name, setup)?),
    };
    for name in from.cookie.iter().chain(&from.query) {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"=;,&#\"".contains(&byte);
        if name.is_empty() || !name.bytes().all(legal) {
            setup.problems.error(name.place, format!("`{}` is no name", name.value));
            return None;
        }
    }
    setup.redacted.extend(from.query.iter().map(|name| name.value.clone()));
    let text = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.value.as_str().into());
    Some(Carriers { header, cookie: text(&from.cookie), query: text(&from.query) })
}

fn field_name(name: &Spanned<String>, setup: &mut Setup<'_>) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(found) if !FRAME.contains(&found) && !IDENTITY_FIELDS.contains(&found) => Some(found),
        Ok(found) => {
            setup
                .problems
                .error(name.place, format!("`{found}` has a meaning of its own"))
                .hint("write a name such as `X-Email`");
            None
        }
        Err(_) => {
            setup.problems.error(name.place, format!("`{}` is not a header name", name.value));
            None
        }
    }
}

fn mapping(provider: &str, written: &JwtConfig, setup: &mut Setup<'_>) -> Option<Mapping> {
    let mut headers = Vec::new();
    let mut whole = true;
    for (name, claim) in written.headers.iter() {
        match service::upstream_field(name, setup) {
            None => whole = false,
            Some(field) => headers.push((field, claim.value.as_str().into())),
        }
    }
    let text = |claim: &Option<Spanned<String>>| claim.as_ref().map(|claim| claim.value.as_str().into());
    whole.then(|| Mapping {
        provider: provider.into(),
        consumer: text(&written.consumer).unwrap_or_else(|| "sub".into()),
        groups: text(&written.groups),
        scopes: text(&written.scopes),
        headers: headers.into(),
    })
}
