//! Header look-up and change, whatever holds the headers.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Read access to the header fields of a request or response.
pub trait Headers {
    /// The first field value of that name, as bytes (RFC 9110 §5.5).
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;

    /// Calls `visit` with each field value of that name, in order.
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]));

    /// Calls `visit` with every field, in order within a name.
    fn all(&self, visit: &mut dyn FnMut(&HeaderName, &[u8]));
}

/// Write access to header fields. A [`HeaderValue`] cannot hold CR, LF or NUL, so no value can smuggle a line.
pub trait HeadersMut: Headers {
    /// Replaces every field of that name with one.
    fn set(&mut self, name: &HeaderName, value: HeaderValue);

    /// Adds one more field of that name.
    fn append(&mut self, name: &HeaderName, value: HeaderValue);

    /// Removes every field of that name.
    fn remove(&mut self, name: &HeaderName);
}

impl Headers for HeaderMap {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }

    fn all(&self, visit: &mut dyn FnMut(&HeaderName, &[u8])) {
        self.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    }
}

impl HeadersMut for HeaderMap {
    fn set(&mut self, name: &HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }

    fn append(&mut self, name: &HeaderName, value: HeaderValue) {
        // Over the map's own bound of 32,768 fields the field is left out: far above any limit of a listener.
        let _ = self.try_append(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}
