//! Request methods: which ones a route is for, and which ones an `Allow` field lists.

use std::fmt;

use super::PatternError;

/// The methods of RFC 9110 §9.3 and RFC 5789, in the order in which they are listed; the index is the bit.
const STANDARD: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// The method that asks what else may be asked (RFC 9110 §9.3.7), of a browser's preflights too.
pub const OPTIONS: &str = "OPTIONS";

/// The method of a request, looked up once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// The bit of a standard method.
    Standard(u16),
    Extension(&'a str),
}

const GET: u16 = 1;
const HEAD: u16 = 1 << 1;

impl<'a> Asked<'a> {
    pub(super) fn new(method: &'a str) -> Self {
        STANDARD
            .iter()
            .position(|known| *known == method)
            .map_or(Self::Extension(method), |bit| Self::Standard(1 << bit))
    }
}

/// A set of method names; names are case-sensitive (RFC 9110 §9.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MethodSet {
    standard: u16,
    /// Sorted.
    extension: Vec<Box<str>>,
}

/// What the `Allow` field of a 405 lists (RFC 9110 §10.2.1); its `Display` is the field value.
pub type AllowSet = MethodSet;

impl MethodSet {
    /// Adds a method.
    pub fn insert(&mut self, method: &str) {
        match Asked::new(method) {
            Asked::Standard(bit) => self.standard |= bit,
            Asked::Extension(name) => {
                if let Err(at) = self.extension.binary_search_by(|known| (**known).cmp(name)) {
                    self.extension.insert(at, name.into());
                }
            }
        }
    }

    /// Whether the set holds a method by name.
    pub fn contains(&self, method: &str) -> bool {
        self.has(Asked::new(method))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.standard == 0 && self.extension.is_empty()
    }

    /// The methods: the standard ones first, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let standard = STANDARD.iter().enumerate().filter(|(bit, _)| self.standard & (1 << bit) != 0);
        standard.map(|(_, name)| *name).chain(self.extension.iter().map(|name| &**name))
    }

    /// Adds every method of a route that takes `other`: `GET` brings `HEAD` along.
    pub(super) fn allow(&mut self, other: &Self) {
        self.standard |= other.standard;
        if self.standard & GET != 0 {
            self.standard |= HEAD;
        }
        other.extension.iter().for_each(|name| self.insert(name));
    }

    fn has(&self, asked: Asked<'_>) -> bool {
        match asked {
            Asked::Standard(bit) => self.standard & bit != 0,
            Asked::Extension(name) => self.extension.binary_search_by(|known| (**known).cmp(name)).is_ok(),
        }
    }
}

impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(at, name)| write!(f, "{}{name}", if at == 0 { "" } else { ", " }))
    }
}

/// Which methods a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Methods {
    /// Every method, those with unknown names too.
    Any,
    /// Those named, and `HEAD` where `GET` is named.
    Named(MethodSet),
}

/// How a route came to take a method; the lesser is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It names the method.
    Named,
    /// `HEAD`, because it names `GET` (RFC 9110 §9.3.2).
    Implied,
    /// It takes every method.
    Any,
}

impl Methods {
    /// Whether this method is named, rather than taken with every other.
    pub fn names(&self, method: &str) -> bool {
        matches!(self, Self::Named(set) if set.contains(method))
    }

    /// Reads method names separated by commas or `|`: `GET`, `GET,POST`, `PUT|PATCH`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] for what is no token (RFC 9110 §9.1), and for a standard method in the wrong case.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut set = MethodSet::default();
        let mut offset = 0;
        for piece in text.split([',', '|']) {
            let name = piece.trim();
            let at = offset + (piece.len() - piece.trim_start().len());
            offset += piece.len() + 1;
            check_name(name, at)?;
            set.insert(name);
        }
        Ok(Self::Named(set))
    }

    pub(super) fn fit(&self, asked: Asked<'_>) -> Option<Fit> {
        match self {
            Self::Any => Some(Fit::Any),
            Self::Named(set) if set.has(asked) => Some(Fit::Named),
            Self::Named(set) => {
                let follows = matches!(asked, Asked::Standard(HEAD)) && set.standard & GET != 0;
                follows.then_some(Fit::Implied)
            }
        }
    }

    /// Whether every request that `other` takes is taken by this too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Named(_), Self::Any) => false,
            (Self::Named(_), Self::Named(other)) => other.iter().all(|name| self.fit(Asked::new(name)).is_some()),
        }
    }

    /// Whether every request that `other` takes is taken by this too, as well by name.
    pub(super) fn covers_by_name(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Named(set), Self::Named(other)) => other.iter().all(|name| set.contains(name)),
            _ => false,
        }
    }

    /// Whether both take some method, and equally well.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Named(one), Self::Named(two)) => {
                one.standard & two.standard != 0 || one.extension.iter().any(|name| two.contains(name))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any method"),
            Self::Named(set) => set.fmt(f),
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_name(name: &str, at: usize) -> Result<(), PatternError> {
    if name.is_empty() {
        return Err(PatternError::new(at, "a method name is missing"));
    }
    if let Some(bad) = name.bytes().position(|byte| !is_token_byte(byte)) {
        return Err(PatternError::new(at + bad, "a method name may not hold this character"));
    }
    if matches!(name, "*" | "ANY" | "any" | "ALL" | "all") {
        return Err(PatternError::new(at, format!("`{name}` is not a method")).hint("leave the method out to take any"));
    }
    match STANDARD.iter().find(|known| known.eq_ignore_ascii_case(name) && **known != name) {
        Some(known) => Err(PatternError::new(at, "method names are case-sensitive").hint(format!("write `{known}`"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(methods: &str, method: &str) -> Option<Fit> {
        Methods::parse(methods).unwrap().fit(Asked::new(method))
    }

    #[test]
    fn head_follows_get_but_less_well_than_its_own_name() {
        assert_eq!(fit("GET", "HEAD"), Some(Fit::Implied));
        assert_eq!(fit("GET,HEAD", "HEAD"), Some(Fit::Named));
        assert_eq!(fit("POST", "HEAD"), None);
        assert_eq!(fit("HEAD", "GET"), None);
        assert!(Fit::Named < Fit::Implied && Fit::Implied < Fit::Any);
    }

    #[test]
    fn extension_methods_are_kept_by_name() {
        assert_eq!(fit("PURGE|GET", "PURGE"), Some(Fit::Named));
        assert_eq!(fit("PURGE", "purge"), None);
        assert_eq!(fit("GET", "PURGE"), None);
        assert_eq!(Methods::Any.fit(Asked::new("X")), Some(Fit::Any));
    }

    #[test]
    fn an_allow_field_lists_head_with_get_in_a_fixed_order() {
        let mut allow = AllowSet::default();
        for methods in ["PURGE", "DELETE,GET", "GET"] {
            let Methods::Named(set) = Methods::parse(methods).unwrap() else { panic!("names") };
            allow.allow(&set);
        }
        assert_eq!(allow.to_string(), "GET, HEAD, DELETE, PURGE");
    }

    #[test]
    fn refuses_what_is_no_method_at_its_place() {
        for (text, offset) in
            [("", 0), ("GET,", 4), ("GET, post", 5), ("GE T", 2), ("*", 0), ("GET|ANY", 4), ("Gét", 1)]
        {
            assert_eq!(Methods::parse(text).map_err(|error| error.offset), Err(offset), "{text}");
        }
    }

    #[test]
    fn covering_counts_the_implied_head() {
        let methods = |text| Methods::parse(text).unwrap();
        assert!(methods("GET").covers(&methods("HEAD")));
        assert!(!methods("GET").covers_by_name(&methods("HEAD")));
        assert!(Methods::Any.covers(&methods("X")));
        assert!(!methods("GET,POST").covers(&Methods::Any));
        assert!(methods("GET,POST").meets(&methods("POST,PUT")));
        assert!(!methods("GET").meets(&methods("HEAD")));
    }
}
