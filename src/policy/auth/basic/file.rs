//! A file of users as `htpasswd` writes it: `user:hash`, one a line.

use crate::consumer::PasswordHash;
use crate::policy::{Setup, Tend, Watched};
use crate::value::{Invalid, Spanned};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// More bad lines than this are counted, not listed.
const MOST_NAMED: usize = 20;

type Users = HashMap<Box<str>, Arc<PasswordHash>>;

/// A file of users, and whom it held when it was last sound.
pub(super) struct UserFile {
    path: PathBuf,
    users: ArcSwap<Users>,
    watched: Watched,
}

impl UserFile {
    /// Reads the file and follows it from then on; `None` where a problem was recorded.
    pub fn compile(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Arc<Self>> {
        let path = setup.path(written);
        let watched = Watched::new([path.clone()]);
        match read(&path) {
            Ok(users) => {
                let file = Arc::new(Self { path, users: ArcSwap::from_pointee(users), watched });
                setup.tended.push(Arc::new(Watch(Arc::clone(&file))));
                Some(file)
            }
            Err(problems) => {
                for problem in problems {
                    setup.problems.error(written.place, problem.message).hint_if(problem.hint);
                }
                None
            }
        }
    }

    /// The stored hash of a user.
    pub fn find(&self, user: &str) -> Option<Arc<PasswordHash>> {
        self.users.load().get(user).cloned()
    }

    /// Some user's hash.
    pub fn any(&self) -> Option<Arc<PasswordHash>> {
        self.users.load().values().next().cloned()
    }

    /// Reads the file anew; a bad one leaves the users before in force.
    fn renew(&self) {
        match read(&self.path) {
            Ok(users) => {
                log::info!("{} read anew: {} users", self.path.display(), users.len());
                self.users.store(Arc::new(users));
            }
            Err(problems) => {
                for problem in problems {
                    log::error!("{}; the users read before stay in force", problem.message);
                }
            }
        }
    }
}

/// Watches the file as long as its snapshot runs.
struct Watch(Arc<UserFile>);

#[async_trait]
impl Tend for Watch {
    async fn tend(&self) {
        let file = Arc::clone(&self.0);
        self.0.watched.each_change(Arc::new(move || file.renew())).await;
    }
}

fn read(path: &PathBuf) -> Result<Users, Vec<Invalid>> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| vec![Invalid::new(format!("{name} cannot be read: {error}"))])?;
    parse(&text).map_err(|bad| {
        let more = bad.len().saturating_sub(MOST_NAMED);
        let mut said: Vec<Invalid> = bad
            .into_iter()
            .take(MOST_NAMED)
            .map(|(line, it)| Invalid { message: format!("{name}:{line}: {}", it.message), hint: it.hint })
            .collect();
        if more > 0 {
            said.push(Invalid::new(format!("{name}: {more} further lines cannot be used")));
        }
        said
    })
}

/// Reads all lines; every line that cannot be used, counted from 1. No hash is repeated.
fn parse(text: &str) -> Result<Users, Vec<(usize, Invalid)>> {
    let (mut users, mut bad) = (Users::new(), Vec::new());
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Ok((user, _)) if users.contains_key(user) => {
                bad.push((number + 1, Invalid::new(format!("the user `{user}` stands on an earlier line already"))));
            }
            Ok((user, hash)) => drop(users.insert(user.into(), Arc::new(hash))),
            Err(invalid) => bad.push((number + 1, invalid)),
        }
    }
    if bad.is_empty() { Ok(users) } else { Err(bad) }
}

fn entry(line: &str) -> Result<(&str, PasswordHash), Invalid> {
    let wrong = || Invalid::new("the line is not `user:hash`").hint("make one by `htpasswd -nB USER`");
    let (user, hash) = line.split_once(':').ok_or_else(wrong)?;
    if user.is_empty() || user.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok((user, PasswordHash::parse(hash)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96";

    #[test]
    fn reads_what_htpasswd_writes() {
        let users = parse(&format!("# people\r\nann:{BCRYPT}\r\n\r\nä b:{BCRYPT}\n")).unwrap();
        assert_eq!(users.len(), 2);
        assert!(users.contains_key("ann") && users.contains_key("ä b"));
    }

    #[test]
    fn names_every_bad_line_and_repeats_no_hash() {
        let text = format!(
            "ann:{BCRYPT}\nbob:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\ncid:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\ndan:rqXexS6ZhobKA\nann:{BCRYPT}\neve\n:{BCRYPT}\n"
        );
        let bad = parse(&text).unwrap_err();
        let lines: Vec<usize> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
        assert!(
            bad.iter()
                .take(3)
                .all(|(_, invalid)| invalid.hint.as_deref().is_some_and(|hint| hint.contains("htpasswd -nB")))
        );
        let said = format!("{bad:?}");
        assert!(!said.contains("5en6G6") && !said.contains("HqJZ") && !said.contains("rqXe"), "{said}");
    }

    #[test]
    fn a_bad_file_leaves_the_users_before_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, format!("ann:{BCRYPT}")).unwrap();
        let users = ArcSwap::from_pointee(read(&path).unwrap());
        let file = UserFile { watched: Watched::new([path.clone()]), path: path.clone(), users };
        std::fs::write(&path, "ann:plain").unwrap();
        file.renew();
        assert!(file.find("ann").is_some());
        std::fs::write(&path, format!("bob:{BCRYPT}")).unwrap();
        file.renew();
        assert!(file.find("ann").is_none() && file.find("bob").is_some() && file.any().is_some());
    }
}
