//! Values parsed once, and what is said of those that cannot be.
//!
//! Two halves. The *scalars* (`Duration`, `ByteSize`, `Percent`, `Url`, `Address`, `Network`, `SecretConfig`) carry
//! their unit or form in the text operators write. The *diagnostics* (`Place`, `Sources`, `Problem`, `Problems`) say
//! where in a file something is wrong, what is wrong, and what to write instead.
//! [`json`] holds JSON whose numbers stay as they are written.
//! [`Spanned`], [`Named`], [`OneOrMany`] and [`OrOff`] are the shapes written types are made of.

mod address;
mod byte_rate;
mod bytes;
pub(crate) mod digits;
mod duration;
pub(crate) mod form;
mod grpc_code;
mod invalid;
pub mod json;
mod named;
mod network;
mod one_or_many;
mod or_off;
mod outage;
mod percent;
mod place;
mod priority;
mod problem;
mod rate;
mod render;
pub(crate) mod secret;
mod sources;
mod spanned;
mod sticky;
mod suggest;
mod url;
mod web_url;
pub(crate) mod written;

pub use address::Address;
pub use byte_rate::ByteRate;
pub use bytes::ByteSize;
pub use duration::Duration;
pub use grpc_code::GrpcCode;
pub use invalid::Invalid;
pub use named::Named;
pub use network::Network;
pub use one_or_many::OneOrMany;
pub use or_off::OrOff;
pub use outage::Outage;
pub use percent::Percent;
pub use place::{Place, SourceId};
pub use priority::Priority;
pub use problem::{Problem, Problems, Severity};
pub use rate::{Quota, Rate, Window};
pub use secret::{Secret, SecretConfig, SecretSource};
pub use sources::{Source, Sources};
pub use spanned::Spanned;
pub use sticky::Sticky;
pub use suggest::suggest;
pub use url::{Host, Scheme, Url};
pub use web_url::WebUrl;
