//! `compress:` as it is written.

use crate::policy::coding::{Coding, Levels};
use crate::value::form::{short_form, with_true};
use crate::value::{ByteSize, Invalid, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which answers are compressed, and how.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CompressConfig", deny_unknown_fields, default)]
#[schemars(transform = with_true("The defaults."))]
pub struct CompressConfig {
    /// The codings that are offered; of those a client likes equally well the first is taken. Default `[zstd, br, gzip]`.
    pub codings: Vec<Spanned<CodingConfig>>,
    /// Media types: `application/json`, `text/*`, `*+json`. Default: what is text by nature, but no event streams.
    pub types: Vec<Spanned<String>>,
    /// Shorter bodies of a known length are left alone. Default 1KiB.
    pub min_size: ByteSize,
    /// How hard each coding tries.
    pub level: LevelConfig,
}

/// A coding that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodingConfig {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Br,
    /// RFC 1952.
    Gzip,
}

impl CodingConfig {
    /// The coding it names.
    pub fn coding(self) -> Coding {
        match self {
            Self::Zstd => Coding::Zstd,
            Self::Br => Coding::Brotli,
            Self::Gzip => Coding::Gzip,
        }
    }
}

/// How hard each coding tries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelConfig {
    /// 1 to 9. Default 4.
    pub gzip: Spanned<u8>,
    /// 0 to 11. Default 4.
    pub br: Spanned<u8>,
    /// 1 to 19. Default 3.
    pub zstd: Spanned<u8>,
}

impl Default for LevelConfig {
    fn default() -> Self {
        Self { gzip: Spanned::nowhere(4), br: Spanned::nowhere(4), zstd: Spanned::nowhere(3) }
    }
}

impl LevelConfig {
    /// The levels, each with its place, its name and its range.
    pub fn each(&self) -> [(Spanned<u8>, &'static str, std::ops::RangeInclusive<u8>); 3] {
        [(self.gzip, "gzip", 1..=9), (self.br, "br", 0..=11), (self.zstd, "zstd", 1..=19)]
    }

    /// The levels alone.
    pub fn levels(&self) -> Levels {
        Levels { gzip: self.gzip.value, brotli: self.br.value, zstd: self.zstd.value }
    }
}

/// What is text by nature.
const TYPES: [&str; 12] = [
    "text/html",
    "text/plain",
    "text/css",
    "text/csv",
    "text/xml",
    "text/markdown",
    "text/javascript",
    "application/json",
    "application/javascript",
    "application/xml",
    "*+json",
    "*+xml",
];

impl Default for CompressConfig {
    fn default() -> Self {
        Self {
            codings: [CodingConfig::Zstd, CodingConfig::Br, CodingConfig::Gzip].map(Spanned::nowhere).into(),
            types: TYPES.map(|kind| Spanned::nowhere(kind.to_owned())).into(),
            min_size: ByteSize::new(1024),
            level: LevelConfig::default(),
        }
    }
}

impl FromStr for CompressConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Err(Invalid::new(format!("`{text}` is no way to compress"))
                .hint("write `true`, `off`, or a map such as `{ codings: [br, gzip], min_size: 1KiB }`")),
        }
    }
}
short_form!(CompressConfig, "true, off, or a map with codings, types, min_size or level");
