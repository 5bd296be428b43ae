//! A file of networks: one a line, read at start and again whenever it changes.

use super::NetworkSet;
use crate::policy::{Tend, Watched};
use crate::value::{Invalid, Network};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More bad lines than this are counted, not listed.
const MOST_NAMED: usize = 10;

/// Whether a list may hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Empty {
    /// A list of those who are denied may be empty.
    Accepted,
    /// An empty list of those who are allowed would shut everybody out.
    Refused,
}

/// Why a file is no list.
#[derive(Debug)]
pub enum BadList {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is not UTF-8.
    NotText,
    /// It holds no network, and should.
    Empty,
    /// These lines, counted from 1.
    Lines(Vec<(usize, Invalid)>),
}

impl BadList {
    /// What is wrong, a message and perhaps a hint each; `name` is what the file is called.
    pub fn problems(&self, name: &str) -> Vec<Invalid> {
        match self {
            Self::Unreadable(error) => vec![Invalid::new(format!("{name} cannot be read: {error}"))],
            Self::NotText => vec![Invalid::new(format!("{name} is not text in UTF-8"))],
            Self::Empty => vec![
                Invalid::new(format!("{name} holds no network, so nobody could pass"))
                    .hint("write one network a line, such as `10.0.0.0/8`"),
            ],
            Self::Lines(lines) => {
                let named = lines.iter().take(MOST_NAMED).map(|(line, invalid)| Invalid {
                    message: format!("{name}:{line}: {}", invalid.message),
                    hint: invalid.hint.clone(),
                });
                let rest = lines.len().saturating_sub(MOST_NAMED);
                let rest = (rest > 0).then(|| Invalid::new(format!("{name}: {rest} further lines are no networks")));
                named.chain(rest).collect()
            }
        }
    }
}

/// A file of networks, and what it held when it was last sound.
pub struct ListFile {
    path: PathBuf,
    empty: Empty,
    networks: ArcSwap<NetworkSet>,
    watched: Watched,
}

impl ListFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Why it is no list.
    pub fn open(path: PathBuf, empty: Empty) -> Result<Self, BadList> {
        let watched = Watched::new([path.clone()]);
        let networks = read(&path, empty)?;
        Ok(Self { path, empty, networks: ArcSwap::from_pointee(networks), watched })
    }

    /// Whether the list holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.load().contains(address)
    }

    /// Reads the file anew; one that is bad leaves what was read before in service. Both are said in the log.
    fn renew(&self) {
        let name = self.path.display().to_string();
        match read(&self.path, self.empty) {
            Ok(networks) => {
                log::info!("{name} read anew: {} ranges, {} bytes", networks.ranges(), networks.bytes());
                self.networks.store(Arc::new(networks));
            }
            Err(bad) => {
                for problem in bad.problems(&name) {
                    log::error!("{}; the list read before stays in service", problem.message);
                }
            }
        }
    }
}

/// Watches the file as long as its snapshot runs.
pub struct Watch(pub Arc<ListFile>);

#[async_trait]
impl Tend for Watch {
    async fn tend(&self) {
        let file = Arc::clone(&self.0);
        self.0.watched.each_change(Arc::new(move || file.renew())).await;
    }
}

fn read(path: &Path, empty: Empty) -> Result<NetworkSet, BadList> {
    let bytes = std::fs::read(path).map_err(BadList::Unreadable)?;
    let networks = parse(std::str::from_utf8(&bytes).map_err(|_| BadList::NotText)?)?;
    if networks.is_empty() && empty == Empty::Refused {
        return Err(BadList::Empty);
    }
    Ok(networks)
}

/// Reads one network a line; what follows `#` or `;` is a comment.
///
/// # Errors
/// Every line that is no network.
pub fn parse(text: &str) -> Result<NetworkSet, BadList> {
    let (mut networks, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let network = line.split(['#', ';']).next().unwrap_or_default().trim();
        if network.is_empty() {
            continue;
        }
        match network.parse::<Network>() {
            Ok(network) => networks.push(network.get()),
            Err(invalid) => bad.push((number + 1, invalid)),
        }
    }
    if bad.is_empty() { Ok(networks.into_iter().collect()) } else { Err(BadList::Lines(bad)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_networks_comments_and_foreign_line_ends() {
        let text = "\u{feff}# offices\r\n10.0.0.0/8\r\n\r\n  192.0.2.7 ; the old one\n2001:db8::/32 # v6\n::ffff:203.0.113.0/120";
        let set = parse(text).unwrap();
        for address in ["10.1.2.3", "192.0.2.7", "2001:db8::1", "203.0.113.200"] {
            assert!(set.contains(address.parse().unwrap()), "{address}");
        }
        assert_eq!(set.ranges(), 4);
    }

    #[test]
    fn names_every_bad_line() {
        let Err(bad) = parse("10.0.0.0/8\n10.0.0.1/8\nlocalhost\n10.0.0.0-10.0.0.9\n10.0.0.0/8 10.1.0.0/16") else {
            panic!("bad lines accepted")
        };
        let said = bad.problems("bad.txt");
        let messages: Vec<&str> = said.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages.len(), 4);
        assert_eq!(messages[0], "bad.txt:2: `10.0.0.1/8` has bits set beyond its prefix");
        assert_eq!(said[0].hint.as_deref(), Some("write `10.0.0.0/8`"));
        assert!(messages[1].starts_with("bad.txt:3: ") && messages[3].starts_with("bad.txt:5: "));
    }

    #[test]
    fn a_flood_of_bad_lines_is_counted() {
        let Err(bad) = parse(&"nothing\n".repeat(1_000)) else { panic!("bad lines accepted") };
        let said = bad.problems("bad.txt");
        assert_eq!(said.len(), MOST_NAMED + 1);
        assert_eq!(said[MOST_NAMED].message, "bad.txt: 990 further lines are no networks");
    }

    #[test]
    fn an_empty_list_may_deny_nobody_but_not_allow_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.txt");
        std::fs::write(&path, "# nobody\n").unwrap();
        assert!(ListFile::open(path.clone(), Empty::Accepted).is_ok());
        assert!(matches!(ListFile::open(path.clone(), Empty::Refused), Err(BadList::Empty)));
        assert!(matches!(ListFile::open(path.join("x"), Empty::Accepted), Err(BadList::Unreadable(_))));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(ListFile::open(path, Empty::Accepted), Err(BadList::NotText)));
    }

    #[test]
    fn a_bad_file_leaves_the_list_before_in_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        std::fs::write(&path, "10.0.0.0/8\n").unwrap();
        let file = ListFile::open(path.clone(), Empty::Refused).unwrap();
        let ten = "10.0.0.1".parse().unwrap();
        for bad in ["10.0.0.0/8\nnonsense\n", ""] {
            std::fs::write(&path, bad).unwrap();
            file.renew();
            assert!(file.contains(ten), "{bad:?}");
        }
        std::fs::remove_file(&path).unwrap();
        file.renew();
        assert!(file.contains(ten));
        std::fs::write(&path, "192.0.2.0/24\n").unwrap();
        file.renew();
        assert!(!file.contains(ten));
    }
}
