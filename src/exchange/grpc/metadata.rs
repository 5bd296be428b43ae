//! Header fields and metadata: what of a request goes to the service, and what of its answer to the client.

use super::json::decoded;
use crate::reply::{Reason, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, header};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which fields become which.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Fields of the request and the names they have in the call; `None` for all that say nothing of the HTTP message.
    pub request: Option<Box<[(HeaderName, HeaderName)]>>,
    /// Metadata of the answer, first or last, and the names of the fields; `None` for what comes first, as it is.
    pub response: Option<Box<[(HeaderName, HeaderName)]>>,
}

impl Metadata {
    /// The metadata of the call, with the fields that every call has.
    ///
    /// # Errors
    /// A field whose name ends in `-bin` is not base64.
    pub fn of_request(&self, headers: &HeaderMap) -> Result<HeaderMap, Box<Reply>> {
        let mut call = HeaderMap::with_capacity(headers.len() + 8);
        let mut add = |name: &HeaderName, value: &HeaderValue| {
            if name.as_str().ends_with("-bin") && !is_binary(value) {
                let detail = format!("The field {name} is not base64, as its name says.");
                return Err(Box::new(Reply::new(Reason::BadRequest).detail(detail)));
            }
            call.append(name, value.clone());
            Ok(())
        };
        match &self.request {
            Some(chosen) => {
                for (from, to) in chosen {
                    headers.get_all(from).iter().try_for_each(|value| add(to, value))?;
                }
            }
            None => {
                let told = headers.iter().filter(|(name, _)| !is_of_http(name));
                told.into_iter().try_for_each(|(name, value)| add(name, value))?;
            }
        }
        call.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        call.insert(header::TE, HeaderValue::from_static("trailers"));
        call.insert(HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("gzip,identity"));
        Ok(call)
    }

    /// The fields of the answer.
    pub fn of_answer(&self, first: &HeaderMap, last: Option<&HeaderMap>) -> HeaderMap {
        let mut fields = HeaderMap::new();
        match &self.response {
            Some(chosen) => {
                for (from, to) in chosen {
                    let values = first.get_all(from).iter().chain(last.into_iter().flat_map(|last| last.get_all(from)));
                    values.for_each(|value| {
                        fields.append(to, value.clone());
                    });
                }
            }
            None => {
                for (name, value) in first.iter().filter(|(name, _)| !is_of_http(name)) {
                    fields.append(name, value.clone());
                }
            }
        }
        fields.remove(X_REQUEST_ID); // the gateway's own stands there
        fields
    }
}

/// Whether a field says something of the HTTP message or of the call as such, and nothing to the service or the client.
fn is_of_http(name: &HeaderName) -> bool {
    let text = name.as_str();
    let family = ["content-", "if-", "grpc-", "sec-", "accept-", "access-control-"];
    let own = [
        header::ACCEPT,
        header::RANGE,
        header::EXPECT,
        header::TE,
        header::TRAILER,
        header::ORIGIN,
        header::REFERER,
        header::CACHE_CONTROL,
        header::PRAGMA,
        header::UPGRADE_INSECURE_REQUESTS,
        header::VARY,
    ];
    *name != header::ACCEPT_LANGUAGE && (own.contains(name) || family.iter().any(|family| text.starts_with(family)))
}

/// Whether a value is base64, or several with commas between them.
fn is_binary(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.split(',').all(|one| decoded(one.trim()).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(pair).collect()
    }

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    #[test]
    fn what_is_about_the_http_message_stays_behind() {
        let request = headers(&[
            ("x-tenant", "a"),
            ("accept-language", "de"),
            ("accept", "*/*"),
            ("content-type", "application/json"),
            ("if-match", "x"),
            ("grpc-timeout", "1n"),
        ]);
        let call = Metadata::default().of_request(&request).unwrap();
        let expected = [
            ("x-tenant", "a"),
            ("accept-language", "de"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-accept-encoding", "gzip,identity"),
        ];
        assert_eq!(call, headers(&expected));
    }

    #[test]
    fn fields_that_are_chosen_go_under_their_new_names_and_others_not_at_all() {
        let request = Some([(name("x-tenant"), name("tenant")), (name("x-trace"), name("trace-bin"))].into());
        let rules = Metadata { request, response: None };
        let call = rules.of_request(&headers(&[("x-tenant", "a"), ("x-other", "b"), ("x-trace", "AAE")])).unwrap();
        assert_eq!(call.get("tenant").unwrap(), "a");
        assert_eq!(call.get("trace-bin").unwrap(), "AAE");
        assert!(call.get("x-other").is_none());
        let refused = rules.of_request(&headers(&[("x-trace", "not base64")])).unwrap_err();
        assert_eq!(refused.reason, Reason::BadRequest);
    }

    #[test]
    fn metadata_of_the_answer_is_taken_from_both_ends_where_it_is_chosen() {
        let (first, last) = (headers(&[("served-by", "a"), ("grpc-encoding", "gzip")]), headers(&[("cost", "7")]));
        assert_eq!(Metadata::default().of_answer(&first, Some(&last)), headers(&[("served-by", "a")]));
        let response = Some([(name("cost"), name("x-cost"))].into());
        let rules = Metadata { request: None, response };
        assert_eq!(rules.of_answer(&first, Some(&last)), headers(&[("x-cost", "7")]));
    }
}
