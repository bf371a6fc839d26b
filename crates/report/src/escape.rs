//! Foreign strings (model ids, probe names, notes) on their way into XML, HTML and script elements.

use std::fmt::Write as _;

/// Text for an element or a quoted attribute, in XML and HTML alike. Characters that XML 1.0 forbids become U+FFFD.
pub(crate) fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'.. => escaped.push(character),
            _ => escaped.push('\u{fffd}'),
        }
    }
    escaped
}

/// JSON text for inside a `<script>` element: nothing in it can close the element or open a comment.
/// Inside JSON these characters occur only within strings, where their escapes mean the same.
pub(crate) fn json_in_script(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A foreign string on a terminal: control characters, which could move the cursor or change colours, become U+FFFD.
pub(crate) fn terminal(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// A field of a CSV file, quoted when it has to be (RFC 4180).
pub(crate) fn csv(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_cannot_be_left() {
        assert_eq!(markup("a<b>&\"c'\u{1}\u{85}é"), "a&lt;b&gt;&amp;&quot;c&#39;\u{fffd}\u{fffd}é");
    }

    #[test]
    fn script_cannot_be_closed_and_json_stays_the_same() {
        let value = serde_json::json!({ "id": "</script><!-- & \u{2028}" });
        let escaped = json_in_script(&value.to_string());
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}']), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("still JSON"), value);
    }

    #[test]
    fn terminals_get_no_escape_sequences() {
        assert_eq!(terminal("a\u{1b}[31mb"), "a\u{fffd}[31mb");
    }

    #[test]
    fn csv_fields_are_quoted_when_needed() {
        assert_eq!(csv("0..7,4..11"), "\"0..7,4..11\"");
        assert_eq!(csv("a\"b"), "\"a\"\"b\"");
        assert_eq!(csv("math"), "math");
    }
}
