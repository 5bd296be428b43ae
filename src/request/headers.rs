//! Header look-up and change, whatever holds the headers.

use http::HeaderName;

/// Read access to the header fields of a request or response.
pub trait Headers {
    /// The first field value of that name, as bytes (RFC 9110 §5.5).
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;

    /// Calls `visit` with each field value of that name, in order.
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]));

    /// Calls `visit` with every field, in order within a name.
    fn all(&self, visit: &mut dyn FnMut(&HeaderName, &[u8]));
}

/// Write access to header fields. Values must be legal field values (no CR, LF or NUL); illegal ones are dropped.
pub trait HeadersMut: Headers {
    /// Replaces every field of that name with one.
    fn set(&mut self, name: &HeaderName, value: &[u8]);

    /// Adds one more field of that name.
    fn append(&mut self, name: &HeaderName, value: &[u8]);

    /// Removes every field of that name.
    fn remove(&mut self, name: &HeaderName);
}

impl Headers for http::HeaderMap {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(|value| value.as_bytes())
    }

    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }

    fn all(&self, visit: &mut dyn FnMut(&HeaderName, &[u8])) {
        self.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    }
}
