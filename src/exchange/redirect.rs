//! `redirect:`: an answer made from the captures of the route's path and what else is known of the request.

use crate::reply::Fixed;
use crate::routing::{BadPath, Captures, Template};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};

/// A redirect whose target is made of the request.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308 (RFC 9110 §15.4).
    pub status: StatusCode,
    /// Where to.
    pub to: Template,
}

impl Redirect {
    /// The answer for one request; `others` knows what else the target names. The request's query goes along unless the
    /// target brings its own.
    ///
    /// # Errors
    /// The parts would make a path that is none; see [`Template::expand_with`].
    pub fn answer(
        &self,
        path: &str,
        query: Option<&str>,
        captures: &Captures,
        others: &mut dyn FnMut(usize) -> Option<String>,
    ) -> Result<Fixed, BadPath> {
        let mut target = String::with_capacity(64);
        self.to.expand_with(path, captures, others, &mut target)?;
        if let Some(query) = query.filter(|_| !self.to.has_query()) {
            target.push('?');
            target.push_str(query);
        }
        let to = HeaderValue::from_str(&target).map_err(|_| BadPath::Character)?;
        Ok(Fixed { status: self.status, fields: vec![(http::header::LOCATION, to)], body: Bytes::new() })
    }
}
