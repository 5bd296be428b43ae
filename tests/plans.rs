//! Golden pairs: a configuration as it is written, a line of dashes, and what the gateway says to it: the compiled plan
//! with its warnings, or the full list of problems.
//!
//! A file `plans/NAME.plan` may hold more than the main file: `#> teams/a.yaml` begins another one, and a line
//! `#? GET /path@192.0.2.7 Name: value | Name: value` asks for the way of a request (from that address). `UPDATE_PLANS=1 cargo test --test plans` rewrites what
//! follows the dashes; read the difference as an operator would before committing it.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use tollgate::config;
    use tollgate::observe::metrics::{Metrics, MetricsSettings};
    use tollgate::reply::Reason;
    use tollgate::snapshot::{Question, Surroundings, compile, explain_plan, explain_request};

    const DASHES: &str = "----------\n";
    const MAIN: &str = "gateway.yaml";
    /// Secrets in the plans begin with this; no answer may.
    const SECRET: &str = "8c2f41d0";

    /// The files of one plan, and the requests to explain.
    #[derive(Default)]
    struct Written {
        files: Vec<(String, String)>,
        questions: Vec<Question>,
    }

    impl Written {
        fn parse(text: &str) -> Self {
            let mut written = Self { files: vec![(MAIN.into(), String::new())], ..Self::default() };
            for line in text.lines() {
                if let Some(name) = line.strip_prefix("#> ") {
                    written.files.push((name.into(), String::new()));
                } else if let Some(asked) = line.strip_prefix("#? ") {
                    written.questions.push(question(asked));
                } else if let Some((_, file)) = written.files.last_mut() {
                    file.push_str(line);
                    file.push('\n');
                }
            }
            written
        }

        fn write_to(&self, folder: &Path) {
            for (name, text) in &self.files {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder to write to");
                fs::write(path, text).expect("a file written");
            }
        }
    }

    /// `METHOD URL[@CLIENT] [Name: value[ | Name: value]…]`; a `body` in the place of a name is the body.
    fn question(asked: &str) -> Question {
        let mut parts = asked.splitn(3, ' ').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (method, target, headers) = (next(), next(), next());
        let headers = headers.split(" | ").filter_map(|header| header.split_once(": "));
        let (bodies, headers): (Vec<_>, Vec<_>) = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .partition(|(name, _): &(String, String)| name == "body");
        let body = bodies.into_iter().map(|(_, value)| value).collect();
        match target.split_once('@') {
            Some((url, client)) => {
                Question { method, url: url.into(), headers, body, client: Some(client.parse().expect("an address")) }
            }
            None => Question { method, url: target, headers, body, client: None },
        }
    }

    /// What the gateway says to these files.
    fn answer(written: &Written) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        written.write_to(folder.path());
        let metrics = Metrics::new(MetricsSettings {
            workers: 1,
            max_routes: MetricsSettings::MAX_ROUTES,
            reasons: Reason::SLUGS,
        });
        let surroundings = Surroundings {
            previous: None,
            metrics: &metrics,
            fetcher: &Default::default(),
            limits: &Default::default(),
            cache: &Default::default(),
            seed: 0,
        };
        let compiled = config::read(&folder.path().join(MAIN)).and_then(|loaded| compile(loaded, &surroundings));
        let text = match compiled {
            Err(failed) => format!("{failed}\n"),
            Ok(compiled) => {
                let mut text = explain_plan(&compiled.snapshot);
                if !compiled.warnings.is_empty() {
                    text.push('\n');
                    text.push_str(&compiled.warnings);
                }
                for asked in &written.questions {
                    text.push('\n');
                    text.push_str(&explain_request(&compiled.snapshot, asked).unwrap_or_else(|why| format!("{why}\n")));
                }
                text
            }
        };
        text.replace(&format!("{}/", folder.path().display()), "")
    }

    fn plans() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
        let entries = fs::read_dir(&folder).expect("the folder of the plans");
        let mut plans: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        plans.retain(|path| path.extension().is_some_and(|extension| extension == "plan"));
        plans.sort();
        assert!(plans.len() >= 25, "only {} plans in {}", plans.len(), folder.display());
        plans
    }

    #[test]
    fn every_plan_says_what_is_written_below_its_dashes_and_no_secret() {
        let update = std::env::var_os("UPDATE_PLANS").is_some();
        let mut different = Vec::new();
        for path in plans() {
            let text = fs::read_to_string(&path).expect("a plan");
            let (config, expected) = text.split_once(DASHES).expect("a line of dashes");
            let answer = answer(&Written::parse(config));
            assert!(!answer.contains(SECRET), "{} tells a secret:\n{answer}", path.display());
            if update {
                fs::write(&path, format!("{config}{DASHES}{answer}")).expect("a plan rewritten");
            } else if answer != expected {
                different.push(format!("== {}\n-- expected\n{expected}\n-- said\n{answer}", path.display()));
            }
        }
        assert!(different.is_empty(), "UPDATE_PLANS=1 rewrites them\n{}", different.join("\n"));
    }
}
