//! A request that may have changed something has succeeded: what is kept of it is out of date (RFC 9111 §4.4).

use super::Gate;
use super::ctx::ProxyCtx;
use crate::reply::Fixed;
use crate::routing::{normalise, normalise_host};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// Takes out what is kept at the URL of the request and at those its answer names on the same host.
pub fn invalidate(gate: &Gate, session: &Session, response: &ResponseHeader, ctx: &ProxyCtx) {
    let request = session.req_header();
    let safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        || request.method.as_str() == "QUERY";
    if safe || !(response.status.is_success() || response.status.is_redirection()) {
        return;
    }
    let host = &ctx.matched.host;
    let cache = &gate.shared.cache;
    let take_out = |path: &str, query: Option<&str>| {
        // Other gateways are told where they may have something: not of each POST there is.
        let tell = cache.is_shared() && ctx.snapshot.may_be_kept(host, path, query);
        for purge in ctx.snapshot.purges_of(host, path, query) {
            if tell {
                cache.purge(&purge)
            } else {
                cache.store().purge(&purge)
            };
        }
    };
    take_out(request.uri.path(), request.uri.query());
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Some((path, query)) = on_this_host(&response.headers, &name, host) {
            take_out(&path, query.as_deref());
        }
    }
}

/// Takes out all that is kept at the URL of a request whose method is PURGE, and says how much that was.
pub async fn purge(gate: &Gate, session: &Session, ctx: &ProxyCtx) -> Fixed {
    let uri = &session.req_header().uri;
    let purges = ctx.snapshot.purges_of(&ctx.matched.host, uri.path(), uri.query());
    let purged = gate.shared.cache.purge_and_wait(&purges).await;
    let status = if purged.holds() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let fields = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut body = serde_json::to_vec(&purged).unwrap_or_default();
    body.push(b'\n');
    Fixed { status, fields, body: Bytes::from(body) }
}

/// The path and query a field names, where they are on this host.
fn on_this_host(headers: &HeaderMap, name: &HeaderName, host: &str) -> Option<(String, Option<String>)> {
    let written = headers.get(name)?.to_str().ok()?;
    let rest = match written.split_once("://") {
        Some((_, rest)) => {
            let (authority, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            let named = normalise_host(authority).ok()?.into_text();
            if *named != *host {
                return None;
            }
            rest.get(authority.len()..)?
        }
        None if written.starts_with('/') && !written.starts_with("//") => written,
        None => return None,
    };
    let rest = rest.split('#').next()?;
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
    let path = if path.is_empty() { "/" } else { path };
    Some((normalise(path).ok()?.as_str().to_owned(), query))
}
