//! `signature:` checks signatures over messages (RFC 9421), and the digest of the body that they cover (RFC 9530).
//!
//! Stage: Authenticate. Hooks: on the head; on the body, which passes as it comes: its last piece goes up only once the
//! whole is what was signed, else the exchange is broken off. What is verified is the request as it was matched and is
//! forwarded, with its path in normal form: a client that signs another spelling of the path is refused. Over a reload
//! the nonces that were used are kept. Fails closed: no room for another nonce is 503. Example: `conf/auth-ask.yaml`.

mod base;
mod config;
mod key;
mod replay;

pub use config::{Encoding, Nonce, SignatureConfig, SignatureKeyConfig};
pub use key::Algorithm;

use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::Consumers;
use crate::policy::Setup;
use crate::reply::Reason;
use crate::request::{Body, BodyDigest, Caller, DigestKind, Headers, Moment, RequestCx, RequestView};
use crate::value::Spanned;
use base::{Base, Message, base, covers};
use http::{HeaderName, HeaderValue};
use key::Key;
use replay::{Nonces, Use};
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, Parser};
use std::collections::HashMap;
use std::sync::Arc;

const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The compiled provider.
pub struct Signature {
    name: Box<str>,
    keys: HashMap<Box<str>, Key>,
    written: SignatureConfig,
    nonces: Arc<Nonces>,
}

impl Signature {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<SignatureConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let config = &written.value;
        let keys: Vec<_> = config
            .keys
            .iter()
            .map(|(id, key)| Some((id.value.as_str().into(), Key::compile(id, key, setup)?)))
            .collect();
        let mut sound = true;
        for required in config.require.iter().filter(|required| !is_component(required)) {
            sound = false;
            setup
                .problems
                .error(required.place, format!("`{}` is nothing that a request's signature covers", required.value))
                .hint("write a field in lower case, or @method, @authority, @scheme, @path, @query, @target-uri");
        }
        if config.keys.is_empty() {
            setup.problems.error(written.place, "`keys` is empty: no signature could be checked");
            return None;
        }
        let keys = keys.into_iter().collect::<Option<HashMap<_, _>>>().filter(|_| sound)?;
        // A nonce that was used stays used, whatever else has changed.
        let nonces = previous.map(|previous| Arc::clone(&previous.nonces)).unwrap_or_default();
        Some(Arc::new(Self { name: name.into(), keys, written: config.clone(), nonces }))
    }

    /// Judges the signature of that label.
    fn judge(&self, (input, signature): (&InnerList, &[u8]), cx: &mut RequestCx, request: &RequestView<'_>) -> Judged {
        let id = text(input, "keyid").ok_or_else(|| no("The signature names no key."))?;
        let key = self.keys.get(id).ok_or_else(|| foreign("The signature's key is not known here."))?;
        if input.params.get("alg").is_some_and(|alg| alg.as_str() != Some(key.algorithm.as_str())) {
            return Err(no("The signature's algorithm is not the one of its key."));
        }
        self.check_times(input, cx.time.unix_seconds())?;
        let base = {
            let message = Message::new(cx, request);
            let base = base(input, &message).map_err(no)?;
            self.check_cover(&base, cx.body, &message)?;
            base
        };
        if !key.verifies(&base.text, signature) {
            return Err(no("The signature does not match the request."));
        }
        let covers_body = base.covered.iter().any(|name| name == CONTENT_DIGEST.as_str());
        let digest = if covers_body { expected_digest(cx.body, request.headers)? } else { None };
        self.check_nonce(input, id, cx.time)?;
        cx.identity.body = digest;
        Ok((key.consumer.clone(), id.into()))
    }

    fn check_times(&self, input: &InnerList, now: u64) -> Result<(), Verdict> {
        let time = |name: &str| match input.params.get(name) {
            None => Ok(None),
            Some(BareItem::Integer(seconds)) => u64::try_from(*seconds).map(Some).map_err(|_| ()),
            Some(_) => Err(()),
        };
        let (Ok(Some(created)), Ok(expires)) = (time("created"), time("expires")) else {
            return Err(no("The signature needs `created`, and its times are whole seconds."));
        };
        let leeway = self.written.leeway.as_secs();
        if created > now.saturating_add(leeway) {
            return Err(no("The signature was created in the future."));
        }
        let oldest = created.saturating_add(self.written.max_age.as_secs()).saturating_add(leeway);
        if now > oldest || expires.is_some_and(|expires| expires.saturating_add(leeway) <= now) {
            return Err(Verdict::expired("The signature is too old."));
        }
        Ok(())
    }

    fn check_cover(&self, base: &Base, body: Body, message: &Message<'_>) -> Result<(), Verdict> {
        for required in &self.written.require {
            let applies = match required.as_str() {
                "@query" => message.has_query(),
                "content-digest" => !is_empty(body),
                _ => true,
            };
            if applies && !covers(&base.covered, required) {
                let detail = format!("The signature must cover {}.", required.value);
                return Err(Verdict::refused(detail));
            }
        }
        Ok(())
    }

    /// Last, so that only who holds a key can use nonces up.
    fn check_nonce(&self, input: &InnerList, id: &str, time: Moment) -> Result<(), Verdict> {
        let window = self.written.max_age.get() + self.written.leeway.get() * 2;
        match (text(input, "nonce"), self.written.nonce) {
            (None, Nonce::Optional) => Ok(()),
            (None, Nonce::Required) => Err(no("The signature needs a `nonce`.")),
            (Some(nonce), _) => match self.nonces.take(id, nonce, time.started, window) {
                Use::First => Ok(()),
                Use::Again => Err(no("The signature was used before.")),
                Use::Unknown => Err(Verdict::Unavailable("there is no room to remember another nonce".into())),
            },
        }
    }

    fn caller(&self, owner: Box<str>, key: Box<str>, consumers: &Consumers) -> Arc<Caller> {
        let consumer = consumers.by_id(&owner).cloned();
        let caller = Caller {
            id: owner,
            groups: consumer.as_ref().map(|consumer| consumer.groups.clone()).unwrap_or_default(),
            consumer,
            provider: self.name.clone(),
            credential: Some(key),
            ..Caller::default()
        };
        caller.told()
    }

    /// Whether the signature is meant for this provider: by its tag, where one is asked for.
    fn is_meant(&self, input: &InnerList) -> bool {
        self.written.tag.as_deref().is_none_or(|tag| text(input, "tag") == Some(tag))
    }
}

/// Whose the signature is and by which key, or what is to be said of it.
type Judged = Result<(Box<str>, Box<str>), Verdict>;

fn no(detail: &'static str) -> Verdict {
    Verdict::refused(detail)
}

fn foreign(detail: &'static str) -> Verdict {
    Verdict::Foreign(Refusal { reason: Reason::BadCredentials, detail: detail.into() })
}

fn is_component(name: &str) -> bool {
    match name.strip_prefix('@') {
        Some(derived) => {
            matches!(derived, "method" | "authority" | "scheme" | "path" | "query" | "target-uri" | "request-target")
        }
        None => name.parse::<HeaderName>().is_ok_and(|field| field.as_str() == name),
    }
}

fn is_empty(body: Body) -> bool {
    matches!(body, Body::None | Body::Length(0))
}

/// A parameter that is a string.
fn text<'a>(input: &'a InnerList, name: &str) -> Option<&'a str> {
    match input.params.get(name) {
        Some(BareItem::String(text)) => Some(text),
        _ => None,
    }
}

/// A field that is a dictionary (RFC 8941 §3.2), its lines taken together.
fn dictionary(headers: &dyn Headers, name: &HeaderName) -> Option<Result<Dictionary, &'static str>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    headers.each(name, &mut |value| lines.push(value.to_vec()));
    (!lines.is_empty()).then(|| Parser::parse_dictionary(&lines.join(&b", "[..])))
}

/// The digest the body must have, by the strongest hash that is given; `None` where there is no body and it is that of
/// nothing.
fn expected_digest(body: Body, headers: &dyn Headers) -> Result<Option<Box<BodyDigest>>, Verdict> {
    let Some(Ok(digests)) = dictionary(headers, &CONTENT_DIGEST) else {
        return Err(no("Content-Digest is malformed."));
    };
    let given = |name: &str| match digests.get(name) {
        Some(ListEntry::Item(Item { bare_item: BareItem::ByteSeq(bytes), .. })) => Some(bytes.as_slice()),
        _ => None,
    };
    let strong = given("sha-512").map(|bytes| (DigestKind::Sha512, bytes));
    let Some((kind, bytes)) = strong.or(given("sha-256").map(|bytes| (DigestKind::Sha256, bytes))) else {
        return Err(no("Content-Digest has neither sha-256 nor sha-512."));
    };
    let digest = BodyDigest::new(kind, bytes);
    if !is_empty(body) {
        return Ok(Some(Box::new(digest)));
    }
    match digest.holds() {
        true => Ok(None),
        false => Err(no("The body is not the one that was signed.")),
    }
}

impl Authenticate for Signature {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let (inputs, signatures) =
            match (dictionary(request.headers, &SIGNATURE_INPUT), dictionary(request.headers, &SIGNATURE)) {
                (None, None) => return Verdict::Absent,
                (Some(Ok(inputs)), Some(Ok(signatures))) => (inputs, signatures),
                (None, _) | (_, None) => return no("Signature and Signature-Input go together."),
                _ => return no("Signature or Signature-Input is malformed."),
            };
        let mut meant = inputs.iter().filter_map(|(label, input)| match (input, signatures.get(label)) {
            (ListEntry::InnerList(input), Some(ListEntry::Item(Item { bare_item: BareItem::ByteSeq(bytes), .. }))) => {
                self.is_meant(input).then_some((input, bytes.as_slice()))
            }
            _ => None,
        });
        let Some(first) = meant.next() else { return foreign("No signature is meant for this service.") };
        if meant.next().is_some() {
            return Verdict::Ambiguous("A request brings at most one signature for this service.");
        }
        match self.judge(first, cx, request) {
            Ok((owner, key)) => Verdict::Passed(self.caller(owner, key, consumers)),
            Err(verdict) => verdict,
        }
    }

    fn challenge(&self, refusal: Option<&Refusal>) -> Option<HeaderValue> {
        let realm = ("realm", &*self.written.realm);
        match refusal {
            None => challenge("Signature", &[realm]),
            Some(refusal) => challenge("Signature", &[realm, ("error_description", &refusal.detail)]),
        }
    }

    fn strip(&self, _cx: &mut RequestCx, request: &mut RequestView<'_>) {
        request.headers.remove(&SIGNATURE);
        request.headers.remove(&SIGNATURE_INPUT);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
