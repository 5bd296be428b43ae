//! Problems as text for people and as JSON for programs.

use super::secret::{SECRET_NAMES, is_reference};
use super::{Place, Problem, Problems, Severity, Sources};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;

/// Lines longer than this are shown around the place only, in characters.
const WIDEST: usize = 160;
/// What a message shows of a long quotation: so many characters from its beginning, and half as many from its end.
const LONGEST: usize = 400;

impl Problems {
    /// All problems, each with its line and a caret under the place, in the style of rustc; ends with their number.
    pub fn render(&self, sources: &Sources) -> String {
        let mut out = String::new();
        for problem in self {
            problem.render(sources, &mut out);
            out.push('\n');
        }
        let counted = [Severity::Error, Severity::Warning].map(|severity| (severity, self.count(severity)));
        let parts: Vec<String> = counted
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| format!("{count} {}{}", severity.as_str(), if *count == 1 { "" } else { "s" }))
            .collect();
        out.push_str(&parts.join(", "));
        out.push('\n');
        out
    }

    /// All problems as an array of `{severity, file, line, column, message, hint, related}`.
    pub fn to_json(&self, sources: &Sources) -> Value {
        self.iter().map(|problem| problem.to_json(sources)).collect()
    }
}

impl Problem {
    fn render(&self, sources: &Sources, out: &mut String) {
        let (severity, message) = (self.severity.as_str(), printable(&brief(&self.message)));
        match self.place {
            Some(place) => {
                let _ = writeln!(out, "{}: {severity}: {message}", locate(place, sources));
                excerpt(place, sources, out);
            }
            None => {
                let _ = writeln!(out, "{severity}: {message}");
            }
        }
        for (place, note) in &self.related {
            let _ = writeln!(out, "{}: {}", locate(*place, sources), printable(&brief(note)));
            excerpt(*place, sources, out);
        }
        if let Some(hint) = &self.hint {
            // Under the bar of the excerpt above it.
            let place = self.related.last().map(|(place, _)| *place).or(self.place);
            let gutter = place.map_or(1, |place| place.line.to_string().len());
            let _ = writeln!(out, "{} = help: {}", " ".repeat(gutter), printable(&brief(hint)));
        }
    }

    /// The problem as `{severity, file, line, column, message, hint, related}`.
    pub fn to_json(&self, sources: &Sources) -> Value {
        let file = self.place.and_then(|place| sources.name(place));
        let related: Vec<Value> = self
            .related
            .iter()
            .map(|(place, note)| {
                json!({ "file": sources.name(*place), "line": place.line, "column": place.column, "message": brief(note) })
            })
            .collect();
        json!({
            "severity": self.severity.as_str(),
            "file": file,
            "line": self.place.map(|place| place.line),
            "column": self.place.map(|place| place.column),
            "message": brief(&self.message),
            "hint": self.hint.as_deref().map(brief),
            "related": related,
        })
    }
}

/// A sentence without the middle of what is quoted in it, where it would fill screens.
fn brief(text: &str) -> Cow<'_, str> {
    let ends = (text.char_indices().nth(LONGEST), text.char_indices().nth_back(LONGEST / 2));
    match ends {
        (Some((cut, _)), Some((resume, _))) if cut < resume => {
            Cow::Owned([text.get(..cut), Some(" … "), text.get(resume..)].into_iter().flatten().collect())
        }
        _ => Cow::Borrowed(text),
    }
}

/// `file:line:column`.
fn locate(place: Place, sources: &Sources) -> String {
    format!("{}:{}:{}", printable(sources.name(place).unwrap_or("?")), place.line, place.column)
}

/// The line a place is on, and carets under the place.
fn excerpt(place: Place, sources: &Sources, out: &mut String) {
    let Some(line) = shown_line(place, sources) else { return };
    let at = index(place.column.saturating_sub(1)).min(line.len());
    let start = if line.len() <= WIDEST { 0 } else { at.saturating_sub(WIDEST / 2) };
    let end = (start + WIDEST).min(line.len());
    let shown: String = line.get(start..end).unwrap_or_default().iter().collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if end < line.len() { "…" } else { "" };
    let carets = index(place.len).clamp(1, end.saturating_sub(at).max(1));
    let number = place.line.to_string();
    let pad = " ".repeat(number.len());
    let indent = " ".repeat(at - start + before.chars().count());
    let _ = writeln!(
        out,
        "{pad} |\n{number} | {before}{}{after}\n{pad} | {indent}{}",
        shown.trim_end(),
        "^".repeat(carets)
    );
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The characters of a line as they may be shown: printable, and secrets replaced by stars.
fn shown_line(place: Place, sources: &Sources) -> Option<Vec<char>> {
    let text = &sources.get(place.source)?.text;
    let line = text.split('\n').nth(index(place.line.checked_sub(1)?))?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut shown: Vec<char> = printable(line).chars().collect();
    for secret in sources.hidden().iter().filter(|secret| secret.source == place.source) {
        hide(&mut shown, *secret, place.line, text);
    }
    hide_after_secret_names(&mut shown);
    hide_credentials(&mut shown);
    Some(shown)
}

/// Replaces what stands before the `@` of a URL: credentials, which no URL here may hold.
fn hide_credentials(shown: &mut [char]) {
    let mut from = 0;
    while let Some(at) = shown.get(from..).and_then(|rest| rest.windows(3).position(|three| three == [':', '/', '/'])) {
        from += at + 3;
        let ends = |c: &char| matches!(c, ' ' | '"' | '\'' | ',' | '}' | ']');
        let url = shown.get_mut(from..).unwrap_or_default().split_mut(ends).next().unwrap_or_default();
        if let Some(end) = url.iter().rposition(|c| *c == '@') {
            url.iter_mut().take(end).for_each(|c| *c = '*');
        }
    }
}

/// Replaces what of `secret` is on line `number` by stars. A secret may run over several lines.
fn hide(shown: &mut [char], secret: Place, number: u32, text: &str) {
    if number < secret.line {
        return;
    }
    let mut column = index(secret.column.saturating_sub(1));
    let mut left = index(secret.len);
    if number > secret.line {
        let rest = text.get(index(secret.offset)..).unwrap_or_default();
        let lines: Vec<&str> = rest.split('\n').take(index(number - secret.line)).collect();
        left = left.saturating_sub(lines.iter().map(|line| line.chars().count() + 1).sum());
        column = 0;
    }
    shown.iter_mut().skip(column).take(left).for_each(|c| *c = '*');
}

/// Replaces what stands after each name that speaks of a secret, unless it is a reference or a switch: in a file with a
/// slip in it, nothing else is known of a value than the name before it.
fn hide_after_secret_names(shown: &mut [char]) {
    let line: String = shown.iter().map(char::to_ascii_lowercase).collect();
    let named = SECRET_NAMES.iter().flat_map(|name| line.match_indices(name)).map(|(at, name)| at + name.len());
    // `{ value: …, insecure_inline: true }` holds its secret before the name.
    let values = if line.contains("insecure_inline") { "value" } else { "\0" };
    let inline = line.match_indices(values).map(|(at, name)| at + name.len());
    for name_end in named.chain(inline) {
        hide_value(&line, name_end, shown);
    }
}

/// Replaces the value of the key whose name has a part that ends at `name_end`.
fn hide_value(line: &str, name_end: usize, shown: &mut [char]) {
    // Up to the colon there is nothing but the rest of a key: `http://token.internal:80` names no secret.
    let key_end = line.get(name_end..).and_then(|rest| rest.split_once(':')).map(|(rest, _)| rest);
    if !key_end
        .is_some_and(|rest| rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'' | ' ')))
    {
        return;
    }
    let skipped = line.get(..name_end).map_or(0, |before| before.chars().count());
    let rest = shown.iter_mut().skip(skipped).skip_while(|c| **c != ':').skip(1);
    let mut after = rest.skip_while(|c| matches!(**c, ' ' | '"' | '\'')).collect::<Vec<_>>();
    let value: String = after.iter().map(|c| **c).collect();
    let is_switch = matches!(value.split([',', '}', '#']).next().map(str::trim), Some("true" | "false"));
    if !is_switch && !is_reference(&value) && !value.starts_with(['{', '[', '#', '&', '*']) {
        after.iter_mut().take_while(|c| !matches!(***c, ',' | '}')).for_each(|c| **c = '*');
    }
}

/// The text without control characters, which could move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("conf/shop.yaml", "conf", text);
        sources
    }

    fn place(line: u32, column: u32, len: u32) -> Place {
        Place { line, column, len, ..Place::NOWHERE }
    }

    #[test]
    fn shows_the_line_a_caret_and_what_to_write() {
        let sources = sources("routes:\n  /a:\n    tiemout: 3s\n");
        let mut problems = Problems::new();
        problems.error(place(3, 5, 7), "unknown field `tiemout`").hint("did you mean `timeout`?");
        problems.warn(place(2, 3, 2), "odd").related(place(1, 1, 6), "in this map");
        assert_eq!(
            problems.render(&sources),
            "conf/shop.yaml:3:5: error: unknown field `tiemout`
  |
3 |     tiemout: 3s
  |     ^^^^^^^
  = help: did you mean `timeout`?

conf/shop.yaml:2:3: warning: odd
  |
2 |   /a:
  |   ^^
conf/shop.yaml:1:1: in this map
  |
1 | routes:
  | ^^^^^^

1 error, 1 warning
"
        );
    }

    #[test]
    fn shows_long_lines_around_the_place() {
        let text = format!("a: {}x{}", "-".repeat(500), "+".repeat(500));
        let rendered = Problems::from(Problem::error(place(1, 504, 1), "odd")).render(&sources(&text));
        let lines: Vec<&str> = rendered.lines().collect();
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().nth(caret), Some('x'));
        assert!(lines.iter().all(|line| line.chars().count() < 180));
    }

    #[test]
    fn moves_no_cursor() {
        let rendered = Problems::from(Problem::error(place(1, 1, 1), "a\u{1b}[2Jb")).render(&sources("\u{1b}[2J: 1"));
        assert!(!rendered.contains('\u{1b}'));
    }

    #[test]
    fn never_shows_hidden_text() {
        let mut sources = sources("a: hunter2hunter2\nb: \"hunter3\n  hunter4\"\nc: 1\n");
        sources.hide(Place { offset: 3, ..place(1, 4, 14) });
        sources.hide(Place { offset: 21, ..place(2, 4, 19) });
        for line in 1..=4 {
            let rendered = Problems::from(Problem::error(place(line, 1, 1), "odd")).render(&sources);
            assert!(!rendered.contains("hunter"), "{rendered}");
        }
    }

    #[test]
    fn hides_what_stands_after_the_name_of_a_secret() {
        for (line, shown) in [
            ("token: hunter2", "token: *******"),
            ("{ credentials: true, token: truest }", "{ credentials: true, token: *******}"),
            (
                "{ to: http://token.internal:80, token: a1, password: b2 }",
                "{ to: http://token.internal:80, token: **, password: ***}",
            ),
            (
                "{ value: a1, insecure_inline: true, next: { value: b2 } }",
                "{ value: **, insecure_inline: true, next: { value: ***} }",
            ),
            ("token: truest", "token: ******"),
            ("admin: { tokn_secret: 'hunter2', a: 1", "admin: { tokn_secret: '********, a: 1"),
            ("{ value: hunter2, insecure_inline: true }", "{ value: *******, insecure_inline: true }"),
            ("token: $env:TOKEN", "token: $env:TOKEN"),
            ("timeout: 3s", "timeout: 3s"),
            ("to: http://token.internal:8080", "to: http://token.internal:8080"),
        ] {
            let mut chars: Vec<char> = line.chars().collect();
            hide_after_secret_names(&mut chars);
            assert_eq!(chars.iter().collect::<String>(), shown);
        }
    }

    #[test]
    fn is_machine_readable() {
        let mut problems = Problems::new();
        problems.error(place(1, 1, 1), "odd").related(place(1, 2, 1), "first defined here");
        assert_eq!(
            problems.to_json(&sources("ab")),
            json!([{
                "severity": "error", "file": "conf/shop.yaml", "line": 1, "column": 1, "message": "odd", "hint": null,
                "related": [{ "file": "conf/shop.yaml", "line": 1, "column": 2, "message": "first defined here" }],
            }])
        );
    }
}
