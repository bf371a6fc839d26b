//! What a template's text needs before minijinja reads it.
//!
//! Jinja ends every line with a newline, however the file does. `{% generation %}` is transformers' own tag, which marks what the model said for training. It prints its body unchanged and
//! keeps its variables to itself, which is what `{% with %}` does; minijinja knows no tags from outside.

use std::borrow::Cow;

use minijinja::Error;

use super::meter::Meter;

/// The longest tag that is parsed, in bytes; it bounds the depth of one expression. The longest real one known has 2 kB.
const TAG_LIMIT: usize = 16 << 10;

/// The source with newlines at the ends of lines and `generation` written as `with`.
pub(super) fn translate<'s>(source: &'s str, meter: &Meter) -> Result<Cow<'s, str>, Error> {
    if source.contains('\r') {
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        return Ok(Cow::Owned(translate_tags(&source, meter)?.into_owned()));
    }
    translate_tags(source, meter)
}

fn translate_tags<'s>(source: &'s str, meter: &Meter) -> Result<Cow<'s, str>, Error> {
    let mut translated = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = source[at..].find('{') {
        let start = at + found;
        let inside = start + 2;
        let end = match source.as_bytes().get(start + 1) {
            Some(b'#') => source[inside..].find("#}").map_or(source.len(), |end| inside + end + 2),
            Some(b'{') => tag_end(source, inside, b"}}"),
            Some(b'%') => tag_end(source, inside, b"%}"),
            _ => {
                at = start + 1;
                continue;
            }
        };
        if source.as_bytes()[start + 1] != b'#' && end - start > TAG_LIMIT {
            return Err(meter.stop(format!("a tag of it has {} bytes, at most {TAG_LIMIT} are read", end - start)));
        }
        at = end;
        if source.as_bytes()[start + 1] != b'%' {
            continue;
        }
        let (word_at, word) = tag_word(source, inside);
        let replacement = match word {
            "generation" => "with",
            "endgeneration" => "endwith",
            "raw" => {
                at = raw_end(source, end);
                continue;
            }
            _ => continue,
        };
        // A variable of that name cannot begin a tag, so the word alone decides.
        translated.push_str(&source[copied..word_at]);
        translated.push_str(replacement);
        copied = word_at + word.len();
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(source));
    }
    translated.push_str(&source[copied..]);
    Ok(Cow::Owned(translated))
}

/// Behind the end of a tag; strings may contain what looks like one.
fn tag_end(source: &str, inside: usize, close: &[u8; 2]) -> usize {
    let bytes = source.as_bytes();
    let mut quote = None;
    let mut at = inside;
    while at < bytes.len() {
        match quote {
            Some(_) if bytes[at] == b'\\' => at += 1,
            Some(open) if bytes[at] == open => quote = None,
            Some(_) => {}
            None if bytes[at] == b'"' || bytes[at] == b'\'' => quote = Some(bytes[at]),
            None if bytes[at..].starts_with(close) => return at + 2,
            None => {}
        }
        at += 1;
    }
    source.len()
}

/// The first word of a tag and where it stands.
fn tag_word(source: &str, inside: usize) -> (usize, &str) {
    let rest = &source[inside..];
    let word = rest.trim_start_matches(['-', '+']).trim_start();
    let at = inside + (rest.len() - word.len());
    let length = word.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(word.len());
    (at, &word[..length])
}

/// Behind the tag that ends a raw block.
fn raw_end(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = source[at..].find("{%") {
        let inside = at + found + 2;
        if tag_word(source, inside).1 == "endraw" {
            return tag_end(source, inside, b"%}");
        }
        at = inside;
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(source: &str) -> String {
        translate(source, &Meter::new()).unwrap().into_owned()
    }

    #[test]
    fn only_the_tags_are_translated() {
        assert_eq!(translated("{%- generation -%}a{% endgeneration %}"), "{%- with -%}a{% endwith %}");
        for same in [
            "generation {{ 'generation' }} {# {% generation %} #}",
            "{% raw %}{% generation %}{% endraw %}",
            "{{ '{% generation %}' }}{{ \"\\\"{% generation %}\" }}",
            "{% set generation = 1 %}{",
            "{% generations %}",
            "{% 'ä' generation",
        ] {
            assert_eq!(translated(same), same);
        }
    }

    #[test]
    fn lines_end_with_newlines() {
        assert_eq!(translated("a\r\nb\rc\n{%generation%}"), "a\nb\nc\n{%with%}");
    }

    #[test]
    fn an_endless_tag_is_refused() {
        let meter = Meter::new();
        assert!(translate(&format!("{{{{ {} }}}}", "a~".repeat(TAG_LIMIT)), &meter).is_err());
        assert!(meter.stopped().is_some());
    }
}
