//! Shares, written with a percent sign.

use super::Invalid;
use super::form::text_form;
use std::fmt;
use std::str::FromStr;

/// A share from `0%` to `100%`, with up to three decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// That many percent, cut at 100.
    pub const fn new(percent: u32) -> Percent {
        Percent(if percent > 100 { 100_000 } else { percent * 1_000 })
    }

    /// The share between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }
}

impl FromStr for Percent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Percent, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is not a share"))
                .hint("write a number from 0 to 100 with `%`, such as `20%`")
        };
        let Some(number) = text.strip_suffix('%') else {
            return Err(match text.parse::<f64>() {
                Ok(number) if number > 0.0 && number < 1.0 => wrong(),
                Ok(_) => {
                    Invalid::new(format!("the share `{text}` has no percent sign")).hint(format!("write `{text}%`"))
                }
                Err(_) => wrong(),
            });
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(wrong());
        }
        let thousandths: u32 = format!("{whole}{decimals:0<3}").parse().map_err(|_| wrong())?;
        if thousandths > 100_000 {
            return Err(wrong());
        }
        Ok(Percent(thousandths))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1_000.0)
    }
}

text_form!(Percent, "a share such as `20%`", {
    "pattern": r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$",
    "examples": ["20%", "0.5%"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_and_decimal_shares() {
        for (text, fraction) in [("0%", 0.0), ("20%", 0.2), ("0.5%", 0.005), ("12.25%", 0.1225), ("100%", 1.0)] {
            let share: Percent = text.parse().unwrap();
            assert!((share.fraction() - fraction).abs() < 1e-9, "{text}");
            assert_eq!(share.to_string(), text);
        }
    }

    #[test]
    fn says_what_to_write_for_a_bare_number() {
        assert_eq!("20".parse::<Percent>().unwrap_err().hint.unwrap(), "write `20%`");
    }

    #[test]
    fn refuses_what_is_no_share() {
        for text in ["", "%", "-1%", "100.001%", "101%", "1.%", ".5%", "1.2345%", "1e2%", "0.2", "NaN"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
