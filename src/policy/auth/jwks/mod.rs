//! The keys that signatures of tokens are checked with, and how the gateway keeps up with their issuers.
//!
//! Read in this order: [`Algorithm`] and [`Key`] (one key, parsed once) · [`KeySet`] (which key checks a token) · [`Source`]
//! (where keys come from) · [`Keys`] (the ones in service: fetched in the background, never by a request) · `pace`
//! (when). Used by `jwt:` and by `oidc:`.
//!
//! Keys in service stay there while their issuer cannot be asked, over a reload that leaves their source as it is, and
//! until a fetch that succeeds has them no more. Fails closed: before the first fetch has succeeded no signature is good.

mod algorithm;
mod discovery;
pub mod json;
mod jwk;
mod key;
mod keys;
mod pace;
mod pem;
mod set;
mod source;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Algorithms, Family};
pub use discovery::Discovery;
pub use jwk::{Read, read_set};
pub use key::{Key, Material};
pub use keys::{Ask, Keys, Wanted};
pub use pem::{is_pem, read_pem};
pub use set::{Checked, KeySet, Signed};
pub use source::Source;
