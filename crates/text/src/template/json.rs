//! `tojson` as transformers defines it: Python's `json.dumps`, not escaped for HTML.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::meter::Meter;

/// More columns of indentation than that are an error.
const MAX_INDENT: usize = 64;

/// How `json.dumps` writes.
struct Style {
    ensure_ascii: bool,
    /// One level of indentation; `None` writes everything on one line.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(value: &Value, arguments: &[Value], named: &Kwargs, meter: &Meter) -> Result<String, Error> {
    let argument = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let value = match arguments.get(index) {
            Some(value) => Some(value.clone()),
            None => named.get::<Option<Value>>(name)?,
        };
        Ok(value.filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let indent = match argument(1, "indent")? {
        None => None,
        Some(value) => Some(match value.as_str() {
            Some(text) if text.len() <= MAX_INDENT => text.to_string(),
            // Python indents by nothing, but still breaks lines, where the number is zero or negative.
            None if value.is_integer() && i64::try_from(value.clone())? <= MAX_INDENT as i64 => {
                " ".repeat(usize::try_from(i64::try_from(value)?).unwrap_or(0))
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson: indent {value} is not at most {MAX_INDENT} spaces"),
                ));
            }
        }),
    };
    let (item_separator, key_separator) = match argument(2, "separators")? {
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
        None => ((if indent.is_some() { "," } else { ", " }).to_string(), ": ".to_string()),
    };
    let style = Style {
        ensure_ascii: argument(0, "ensure_ascii")?.is_some_and(|value| value.is_true()),
        sort_keys: argument(3, "sort_keys")?.is_some_and(|value| value.is_true()),
        indent,
        item_separator,
        key_separator,
    };
    named.assert_all_used()?;
    meter.measure(value)?;
    let mut json = String::new();
    style.write(&mut json, value, 0, meter)?;
    meter.make(json.len() as u64)?;
    Ok(json)
}

impl Style {
    fn write(&self, json: &mut String, value: &Value, depth: usize, meter: &Meter) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => json.push_str("null"),
            ValueKind::Bool => json.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => json.push_str(&number(value)?),
            ValueKind::String => self.string(json, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.surround(json, ('[', ']'), items.len(), depth, meter, |json, index| {
                    self.write(json, &items[index], depth + 1, meter)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.surround(json, ('{', '}'), keys.len(), depth, meter, |json, index| {
                    self.string(json, &key(&keys[index])?);
                    json.push_str(&self.key_separator);
                    self.write(json, &value.get_item(&keys[index])?, depth + 1, meter)
                })?;
            }
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson: a value of kind {other} is not JSON"),
                ));
            }
        }
        Ok(())
    }

    /// Brackets around items, with separators and line breaks.
    fn surround(
        &self,
        json: &mut String,
        (open, close): (char, char),
        items: usize,
        depth: usize,
        meter: &Meter,
        mut item: impl FnMut(&mut String, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |json: &mut String, depth: usize| {
            if let Some(indent) = &self.indent {
                json.push('\n');
                (0..depth).for_each(|_| json.push_str(indent));
            }
        };
        json.push(open);
        for index in 0..items {
            if index > 0 {
                json.push_str(&self.item_separator);
            }
            line(json, depth + 1);
            item(json, index)?;
            // Long separators and indentations make more than the values measured.
            if json.len() as u64 > 1 << 16 {
                meter.make_room(json.len() as u64)?;
            }
        }
        if items > 0 {
            line(json, depth);
        }
        json.push(close);
        Ok(())
    }

    fn string(&self, json: &mut String, text: &str) {
        json.push('"');
        for character in text.chars() {
            match character {
                '"' => json.push_str("\\\""),
                '\\' => json.push_str("\\\\"),
                '\n' => json.push_str("\\n"),
                '\r' => json.push_str("\\r"),
                '\t' => json.push_str("\\t"),
                '\u{8}' => json.push_str("\\b"),
                '\u{c}' => json.push_str("\\f"),
                control if control < ' ' => escape(json, control),
                other if self.ensure_ascii && !(' '..='~').contains(&other) => escape(json, other),
                other => json.push(other),
            }
        }
        json.push('"');
    }
}

/// `\uXXXX`, as a surrogate pair where it takes two.
fn escape(json: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(json, "\\u{unit:04x}");
    }
}

/// A key as `json.dumps` turns it into a string.
fn key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_string()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok((if key.is_true() { "true" } else { "false" }).into()),
        ValueKind::Number => number(key),
        other => Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: a key of kind {other} is not JSON"))),
    }
}

/// A number as Python's `repr` writes it.
fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    if number.is_nan() {
        return Ok("NaN".into());
    }
    if number.is_infinite() {
        return Ok((if number > 0.0 { "Infinity" } else { "-Infinity" }).into());
    }
    // The shortest digits that read back; a power of ten below 1e-4 and from 1e16 on.
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    Ok(if number != 0.0 && !(-4..16).contains(&power) {
        format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
    } else {
        format!("{number:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (123456789012345.6, "123456789012345.6"),
            (-0.0, "-0.0"),
            (1e-4, "0.0001"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(super::number(&Value::from(number)).unwrap(), expected);
        }
    }
}
