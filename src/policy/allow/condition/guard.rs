//! A look at the text of an expression before the parser sees it.
//!
//! The parser of `cel` has been reported to take gigabytes for short texts dense with brackets (cel-rust #305, #306), and
//! it goes as deep as the text does. Expressions are an operator's own, so this is no defence against an enemy but against
//! a slip that would take the gateway down. Brackets count wherever they stand, in texts too: what the guard takes for a
//! text the parser may not.

use super::ParseError;

/// The longest expression, in bytes.
pub const LONGEST: usize = 2_048;
/// Brackets may stand in brackets this deep.
pub const DEEPEST: usize = 24;
/// The most brackets, opening and closing.
pub const MOST_BRACKETS: usize = 160;

/// Refuses what may cost the parser too much.
///
/// # Errors
/// Why, and where.
pub fn check(text: &str) -> Result<(), ParseError> {
    if text.len() > LONGEST {
        let message = format!("the expression is longer than {LONGEST} bytes");
        return Err(ParseError::at(0, message).hint("say it in several rules: `all: [{ when: … }, { when: … }]`"));
    }
    if text.trim().is_empty() {
        return Err(ParseError::at(0, "the expression is empty"));
    }
    let (mut depth, mut brackets) = (0_usize, 0_usize);
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        brackets += 1;
        if depth > DEEPEST {
            return Err(ParseError::at(position, format!("brackets stand in brackets more than {DEEPEST} deep")));
        }
        if brackets > MOST_BRACKETS {
            return Err(ParseError::at(position, format!("the expression has more than {MOST_BRACKETS} brackets")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::allow::condition::Condition;

    #[test]
    fn what_may_cost_too_much_is_refused_before_it_is_parsed() {
        let cases = [
            ("a".repeat(LONGEST + 1), "longer than"),
            (" \n\t".to_owned(), "is empty"),
            ("(".repeat(DEEPEST + 1), "deep"),
            ("[".repeat(2_000), "deep"),
            ("([{".repeat(600), "deep"),
            ("{1:".repeat(100), "deep"),
            ("()".repeat(MOST_BRACKETS), "more than"),
            ("'[' + ".repeat(MOST_BRACKETS + 1), "more than"),
        ];
        for (text, said) in cases {
            let error = check(&text).unwrap_err();
            assert!(error.message.contains(said), "{}: {}", &text[..20.min(text.len())], error.message);
        }
        assert!(check(&format!("{}true{}", "(".repeat(DEEPEST), ")".repeat(DEEPEST))).is_ok());
    }

    /// What the guard lets through costs little, however it is written: this runs on the small stack of a test's thread.
    #[test]
    fn what_passes_is_cheap_to_parse() {
        let cut = |mut text: String| {
            text.truncate(LONGEST);
            text
        };
        let texts = [
            "(".repeat(DEEPEST),
            "{[(".repeat(DEEPEST / 3),
            "([".repeat(DEEPEST / 2) + &"])".repeat(DEEPEST / 2),
            "[]".repeat(MOST_BRACKETS / 2),
            "}])".repeat(MOST_BRACKETS / 3),
            cut("a.".repeat(LONGEST)),
            cut("a||".repeat(LONGEST)),
            cut("a?b:".repeat(LONGEST)),
            cut("a?".repeat(LONGEST)),
            cut("!".repeat(LONGEST)),
            cut("-".repeat(LONGEST)),
            cut("now+".repeat(LONGEST)) + "",
            cut("1-".repeat(LONGEST)),
            cut("'".repeat(LONGEST)),
            cut("\"\"\"".repeat(LONGEST)),
            cut("a in b ".repeat(LONGEST)),
            cut("x\u{fffd}".repeat(600)),
            cut("1.".repeat(LONGEST)),
            cut("0x".repeat(LONGEST)),
            cut("// ".repeat(LONGEST)),
            "\0".to_owned(),
        ];
        for text in texts {
            let _ = Condition::parse(&text);
        }
    }
}
