//! The operators that can make something big, as Python defines them, metered before they make it.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::meter::Meter;

/// `left + right`: numbers, strings, lists, tuples.
pub(super) fn add(left: &Value, right: &Value, meter: &Meter) -> Result<Value, Error> {
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        meter.make((left.len() + right.len()) as u64)?;
        return Ok(Value::from([left, right].concat()));
    }
    if is_list(left) && is_list(right) && left.is_tuple() == right.is_tuple() {
        let items: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).collect();
        return list(items, left.is_tuple(), meter);
    }
    arithmetic("+", left, right, i128::checked_add, |left, right| left + right)
}

/// `left * right`: numbers, and a string or list repeated.
pub(super) fn multiply(left: &Value, right: &Value, meter: &Meter) -> Result<Value, Error> {
    for (repeated, count) in [(left, right), (right, left)] {
        let text = repeated.as_str();
        if !count.is_integer() || text.is_none() && !is_list(repeated) {
            continue;
        }
        // Python repeats nothing where the count is negative.
        let count = i64::try_from(count.clone()).map(|count| count.max(0) as u64).unwrap_or(u64::MAX);
        meter.make(meter.measure(repeated)?.saturating_mul(count))?;
        if let Some(text) = text {
            return Ok(Value::from(text.repeat(usize::try_from(count).unwrap_or(0))));
        }
        let once: Vec<Value> = repeated.try_iter()?.collect();
        let items = (0..count).flat_map(|_| once.iter().cloned()).collect();
        return list(items, repeated.is_tuple(), meter);
    }
    arithmetic("*", left, right, i128::checked_mul, |left, right| left * right)
}

/// `left ~ right`: both as text.
pub(super) fn concatenate(left: &Value, right: &Value, meter: &Meter) -> Result<Value, Error> {
    meter.make(meter.measure(left)? + meter.measure(right)?)?;
    Ok(Value::from(format!("{left}{right}")))
}

/// `left % right`: the remainder with the sign of the divisor, or a string formatted as by C's `printf`.
pub(super) fn remainder(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    if left.as_str().is_some() {
        let mut arguments = vec![left.clone()];
        if right.is_tuple() {
            arguments.extend(right.try_iter()?);
        } else {
            arguments.push(right.clone());
        }
        return state.apply_filter("format", &arguments);
    }
    let whole = |left: i128, right: i128| {
        let remainder = left.checked_rem(right)?;
        Some(if remainder != 0 && (remainder < 0) != (right < 0) { remainder + right } else { remainder })
    };
    arithmetic("%", left, right, whole, |left, right| left - right * (left / right).floor())
}

/// `value[start:stop:step]` of a string, list or tuple, bounds counted and clipped as Python does.
pub(super) fn slice(value: &Value, bounds: [&Value; 3], meter: &Meter) -> Result<Value, Error> {
    let refused = |what: String| Err(Error::new(ErrorKind::InvalidOperation, what));
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        if !bound.is_none() && !bound.is_undefined() {
            *number = Some(i64::try_from(bound.clone())?);
        }
    }
    let [start, stop, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        return refused("a slice cannot have the step 0".into());
    }
    if let Some(text) = value.as_str() {
        meter.make(text.len() as u64)?;
        let characters: Vec<char> = text.chars().collect();
        return Ok(Value::from(sliced(&characters, start, stop, step).copied().collect::<String>()));
    }
    if !is_list(value) {
        return refused(format!("a value of kind {} cannot be sliced", value.kind()));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    list(sliced(&items, start, stop, step).cloned().collect(), value.is_tuple(), meter)
}

fn sliced<T>(items: &[T], start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = &T> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    // Backwards, the bounds lie one place lower: −1 is then the place before the first item.
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clip = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound }.clamp(lowest, highest);
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (start, stop) = (start.map_or(first, clip), stop.map_or(last, clip));
    let next = move |at: &i64| at.checked_add(step);
    std::iter::successors(Some(start), next)
        .take_while(move |&at| if step > 0 { at < stop } else { at > stop })
        .filter_map(|at| items.get(usize::try_from(at).ok()?))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn list(items: Vec<Value>, is_tuple: bool, meter: &Meter) -> Result<Value, Error> {
    let list = if is_tuple { Value::from(Tuple::from(items)) } else { Value::from(items) };
    meter.measure(&list)?;
    meter.make(size_of::<Value>() as u64 * list.len().unwrap_or(0) as u64)?;
    Ok(list)
}

fn arithmetic(
    operator: &str,
    left: &Value,
    right: &Value,
    whole: impl Fn(i128, i128) -> Option<i128>,
    float: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let is_whole = |value: &Value| value.is_integer() || value.kind() == ValueKind::Bool;
    let refused = |what: &str| {
        let (left, right) = (left.kind(), right.kind());
        Err(Error::new(ErrorKind::InvalidOperation, format!("{left} {operator} {right} {what}")))
    };
    if is_whole(left) && is_whole(right) {
        return match whole(i128::try_from(left.clone())?, i128::try_from(right.clone())?) {
            // Small numbers keep the small representation, which indexing expects.
            Some(result) => Ok(i64::try_from(result).map_or_else(|_| Value::from(result), Value::from)),
            None => refused("has no result within 128 bits"),
        };
    }
    if (is_whole(left) || left.is_number()) && (is_whole(right) || right.is_number()) {
        return Ok(Value::from(float(f64::try_from(left.clone())?, f64::try_from(right.clone())?)));
    }
    refused("is not defined")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_those_of_python() {
        let items = [0, 1, 2, 3, 4];
        for (start, stop, step, expected) in [
            (None, None, 1, vec![0, 1, 2, 3, 4]),
            (Some(1), None, 1, vec![1, 2, 3, 4]),
            (Some(-2), None, 1, vec![3, 4]),
            (None, Some(-1), 2, vec![0, 2]),
            (None, None, -1, vec![4, 3, 2, 1, 0]),
            (Some(3), Some(0), -2, vec![3, 1]),
            (Some(-99), Some(99), -7, vec![]),
            (Some(99), Some(-99), -7, vec![4]),
            (Some(i64::MIN), Some(i64::MAX), i64::MAX, vec![0]),
        ] {
            let found: Vec<i32> = sliced(&items, start, stop, step).copied().collect();
            assert_eq!(found, expected, "[{start:?}:{stop:?}:{step}]");
        }
    }
}
