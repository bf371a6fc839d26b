//! Methods that Python's strings and dicts have: minijinja's own port of them, some that it lacks, and a meter before those
//! whose result can be far bigger than what they are given.

use minijinja::value::{Kwargs, Tuple, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::meter::Meter;

/// The widest column that a format may ask for.
const MAX_WIDTH: i64 = 10_000;

/// Calls `value.method(arguments)`.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
    meter: &Meter,
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, method, arguments);
    };
    let mut input = vec![value.clone()];
    input.extend_from_slice(arguments);
    match method {
        "join" => bound_join(arguments.first().unwrap_or(value), value, meter)?,
        "replace" | "format" => bound(method, &input, meter)?,
        _ => {}
    }
    let result = match method {
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<Value>,) = from_args(arguments)?;
            let characters = characters.filter(|value| !value.is_none());
            let set: Option<Vec<char>> = characters.as_ref().and_then(Value::as_str).map(|set| set.chars().collect());
            let cut =
                |character: char| set.as_ref().map_or_else(|| is_space(character), |set| set.contains(&character));
            Value::from(match method {
                "strip" => text.trim_matches(cut),
                "lstrip" => text.trim_start_matches(cut),
                _ => text.trim_end_matches(cut),
            })
        }
        "removeprefix" | "removesuffix" => {
            let (part,): (&str,) = from_args(arguments)?;
            let cut = if method == "removeprefix" { text.strip_prefix(part) } else { text.strip_suffix(part) };
            Value::from(cut.unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let parts = match (method, text.split_once(separator), text.rsplit_once(separator)) {
                ("partition", Some((before, after)), _) | ("rpartition", _, Some((before, after))) => {
                    [before, separator, after]
                }
                ("partition", ..) => [text, "", ""],
                _ => ["", "", text],
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "rsplit" => {
            let (separator, at_most): (Option<&str>, Option<i64>) = from_args(arguments)?;
            match (separator, at_most.and_then(|count| usize::try_from(count).ok())) {
                (Some(separator), Some(count)) if !separator.is_empty() => {
                    let mut parts: Vec<Value> =
                        text.rsplitn(count.saturating_add(1), separator).map(Value::from).collect();
                    parts.reverse();
                    Value::from(parts)
                }
                (_, None) => unknown_method_callback(state, value, "split", arguments)?,
                _ => {
                    return Err(Error::new(
                        ErrorKind::InvalidOperation,
                        "rsplit needs a separator where the number of splits is bounded",
                    ));
                }
            }
        }
        "index" | "rindex" => {
            let found =
                unknown_method_callback(state, value, if method == "index" { "find" } else { "rfind" }, arguments)?;
            if found.as_i64() == Some(-1) {
                return Err(Error::new(ErrorKind::InvalidOperation, "substring not found"));
            }
            found
        }
        "split" => {
            // Python takes both arguments by name too.
            let (separator, at_most, named): (Option<Value>, Option<Value>, Kwargs) = from_args(arguments)?;
            let separator = separator.or(named.get("sep")?).unwrap_or(Value::from(()));
            let at_most = at_most.or(named.get("maxsplit")?).unwrap_or(Value::from(()));
            named.assert_all_used()?;
            unknown_method_callback(state, value, "split", &[separator, at_most])?
        }
        _ => unknown_method_callback(state, value, method, arguments)?,
    };
    Ok(result)
}

/// What Python's `strip` removes: Unicode's white space and the four separators of ASCII.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Charges what a filter or method of this name may make at most.
pub(super) fn bound(name: &str, arguments: &[Value], meter: &Meter) -> Result<(), Error> {
    let Some((value, rest)) = arguments.split_first() else { return Ok(()) };
    let text = value.as_str().unwrap_or_default();
    let widest = rest.iter().map(widest_number).max().unwrap_or(0);
    let parts = match name {
        "join" => return bound_join(value, &rest.iter().cloned().collect(), meter),
        "replace" => {
            let old = rest.first().and_then(Value::as_str).unwrap_or_default();
            if old.is_empty() { text.len() + 1 } else { text.matches(old).count() }
        }
        "indent" => text.lines().count() + 1,
        "format" if longest_number(text) > 4 || widest > MAX_WIDTH => usize::MAX,
        _ => 1,
    };
    if widest > MAX_WIDTH && name != "replace" {
        return meter.make(u64::MAX);
    }
    let mut size = 0_u64;
    for argument in rest {
        size = size.saturating_add(meter.measure(argument)?);
    }
    let grown = size.saturating_add(widest.max(0) as u64).saturating_mul(parts as u64);
    meter.make(meter.measure(value)?.saturating_add(grown))
}

fn bound_join(items: &Value, separator: &Value, meter: &Meter) -> Result<(), Error> {
    let count = items.as_str().map_or_else(|| items.len().unwrap_or(1), |text| text.chars().count());
    let separators = meter.measure(separator)?.saturating_mul(count as u64);
    meter.make(meter.measure(items)?.saturating_add(separators))
}

/// The biggest whole number among arguments, named ones included.
fn widest_number(argument: &Value) -> i64 {
    if argument.is_integer() {
        return i64::try_from(argument.clone()).unwrap_or(i64::MAX);
    }
    if !argument.is_kwargs() {
        return 0;
    }
    let values = argument.try_iter().into_iter().flatten().filter_map(|name| argument.get_item(&name).ok());
    values.filter(Value::is_integer).map(|number| i64::try_from(number).unwrap_or(i64::MAX)).max().unwrap_or(0)
}

/// The most digits in a row.
fn longest_number(text: &str) -> usize {
    text.split(|character: char| !character.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}
