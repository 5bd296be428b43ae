//! The requests that a batch holds.

use crate::exchange::mirror::X_TOLLGATE_MIRROR;
use crate::reply::{Reason, Reply};
use crate::request::{
    CERTIFICATE_FIELDS, ORIGIN_FIELDS, TRACEPARENT, TRACESTATE, X_REQUEST_ID, remove_hop_by_hop, remove_lookalikes,
};
use crate::value::json::{Json, JsonBounds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// Header fields of one request.
const MOST_FIELDS: usize = 100;

/// Fields that are not a request's to say within a batch: they frame it, or tell where it comes from. Answers come without
/// a coding, so that they can stand in JSON.
const LEFT_OUT: [HeaderName; 11] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::ORIGIN,
    X_REQUEST_ID,
    TRACEPARENT,
    TRACESTATE,
    X_TOLLGATE_MIRROR,
];

/// One request of a batch, as far as it could be read.
pub struct Asked {
    /// What it calls itself.
    pub id: Option<Json>,
    /// The request, or what is wrong with it.
    pub request: Result<Request, Box<Reply>>,
}

/// A request to one of the gateway's routes.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: PathAndQuery,
    /// Its fields, without those that are the gateway's to write.
    pub fields: HeaderMap,
    /// Its body.
    pub body: Option<Bytes>,
}

/// Reads a batch.
///
/// # Errors
/// It is not the JSON that a batch is, or holds too many requests. What is wrong with one request is told for that one.
pub fn read(body: &[u8], most: usize) -> Result<Vec<Asked>, Box<Reply>> {
    let bad = |why: String| Box::new(Reply::new(Reason::BadBody).detail(why));
    let json =
        Json::parse(body, JsonBounds::default()).map_err(|error| bad(format!("The batch is not JSON: {error}.")))?;
    let shape = r#"A batch is {"requests": [{"method": "GET", "path": "/orders/1"}]}."#;
    let Json::Object(members) = json else { return Err(bad(shape.into())) };
    let [(name, Json::Array(requests))] = <[_; 1]>::try_from(members).map_err(|_| bad(shape.into()))? else {
        return Err(bad(shape.into()));
    };
    if *name != *"requests" {
        return Err(bad(shape.into()));
    }
    if requests.len() > most {
        let detail = format!("A batch holds at most {most} requests here; this one holds {}.", requests.len());
        return Err(Box::new(Reply::new(Reason::BodyTooLarge).detail(detail)));
    }
    Ok(requests.into_iter().map(one).collect())
}

fn one(mut written: Json) -> Asked {
    let id = written.take("id");
    let fine = matches!(id, None | Some(Json::Text(_) | Json::Number(_)));
    let request = match (fine, written) {
        (false, _) => Err("`id` is a string or a number".to_owned()),
        (true, Json::Object(members)) => request(members),
        (true, _) => Err("it is no object".to_owned()),
    };
    let malformed = |why| {
        Box::new(Reply::new(Reason::BadRequest).detail(format!("This request of the batch is malformed: {why}.")))
    };
    Asked { id: id.filter(|_| fine), request: request.map_err(malformed) }
}

fn request(members: Vec<(Box<str>, Json)>) -> Result<Request, String> {
    let (mut method, mut target, mut fields, mut body) = (Method::GET, None, HeaderMap::new(), None);
    for (name, value) in members {
        match (&*name, value) {
            ("method", Json::Text(text)) => {
                let known = Method::from_bytes(text.as_bytes()).ok().filter(|method| *method != Method::CONNECT);
                method = known.ok_or("`method` is none")?;
            }
            ("path", Json::Text(text)) => target = Some(path(&text)?),
            ("headers", Json::Object(members)) => fields = headers(members)?,
            ("body" | "text" | "base64", _) if body.is_some() => {
                return Err("it has more than one of `body`, `text` and `base64`".into());
            }
            ("body", value) => body = Some(("application/json", value.to_vec())),
            ("text", Json::Text(text)) => body = Some(("text/plain; charset=utf-8", text.into_string().into_bytes())),
            ("base64", Json::Text(text)) => {
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| "`base64` is none")?;
                body = Some(("application/octet-stream", bytes));
            }
            ("method" | "path" | "text" | "base64", _) => return Err(format!("`{name}` is a string")),
            ("headers", _) => return Err("`headers` is an object".into()),
            (other, _) => return Err(format!("`{}` is no member of it", shortened(other))),
        }
    }
    let target = target.ok_or("it has no `path`")?;
    if let Some((kind, _)) = &body {
        fields.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    Ok(Request { method, target, fields, body: body.map(|(_, bytes)| bytes.into()) })
}

/// A name that somebody else has chosen, short enough to be told.
fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

/// In origin form, whole: what stands after a `#` would be dropped without a word.
fn path(text: &str) -> Result<PathAndQuery, String> {
    let target = Some(text).filter(|text| text.starts_with('/') && !text.contains('#'));
    target.and_then(|text| PathAndQuery::try_from(text).ok()).ok_or_else(|| "`path` is no path of this gateway".into())
}

fn headers(members: Vec<(Box<str>, Json)>) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::new();
    for (name, value) in members {
        let values = match value {
            Json::Array(values) => values,
            one => vec![one],
        };
        let bad = || format!("`{}` is no header field", shortened(&name));
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        for value in values {
            let value = value.scalar().and_then(|text| HeaderValue::from_str(text).ok()).ok_or_else(bad)?;
            if fields.len() >= MOST_FIELDS {
                return Err("it has too many header fields".into());
            }
            fields.append(&field, value);
        }
    }
    remove_hop_by_hop(&mut fields);
    let left_out: Vec<HeaderName> =
        LEFT_OUT.into_iter().chain(ORIGIN_FIELDS.iter().chain(&CERTIFICATE_FIELDS).cloned()).collect();
    left_out.iter().for_each(|name| drop(fields.remove(name)));
    remove_lookalikes(&mut fields, &left_out);
    let browsers: Vec<HeaderName> = fields.keys().filter(|name| is_of_the_browser(name)).cloned().collect();
    browsers.iter().for_each(|name| drop(fields.remove(name)));
    Ok(fields)
}

/// Whether only the browser itself can write a field of that name (Fetch, "forbidden request-header").
pub fn is_of_the_browser(name: &HeaderName) -> bool {
    name.as_str().starts_with("sec-")
}
