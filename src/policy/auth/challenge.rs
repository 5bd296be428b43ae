//! `WWW-Authenticate`: what a 401 asks for (RFC 9110 §11.6.1).

use http::HeaderValue;

/// A challenge of a scheme with its parameters, each quoted.
pub fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Option<HeaderValue> {
    let mut text = scheme.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        text.push_str(if index == 0 { " " } else { ", " });
        text.push_str(name);
        text.push_str("=\"");
        value.chars().filter(|c| !c.is_control() && c.is_ascii()).for_each(|c| {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        });
        text.push('"');
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_quoted_and_nothing_breaks_out() {
        let made = challenge("Bearer", &[("realm", "shop"), ("error_description", "a \"b\"\r\nX: 1")]).unwrap();
        assert_eq!(made, r#"Bearer realm="shop", error_description="a \"b\"X: 1""#);
        assert_eq!(challenge("Basic", &[]).unwrap(), "Basic");
    }
}
