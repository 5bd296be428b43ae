//! `cache: { disk: … }` as it is written.

use crate::value::{ByteSize, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps answers on a disk too, over restarts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The folder; made where it is missing, and for the gateway's user alone.
    pub path: Spanned<String>,
    /// How much of the disk answers may take. Default 10GiB.
    #[serde(default = "size")]
    pub size: ByteSize,
}

fn size() -> ByteSize {
    ByteSize::new(10 << 30)
}
