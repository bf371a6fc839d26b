//! The names that a chat template may use: Jinja's own, with Python's meaning where minijinja's differs, and transformers'.

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, escape_formatter, filters};

use super::meter::Meter;
use super::{clock, guard, json, methods, operators};
use crate::message::RenderOptions;

/// An environment for one rendering, whose every filter, function and method reports to the meter.
pub(super) fn environment(meter: &Arc<Meter>, options: &RenderOptions) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    add_guards(&mut environment, meter);
    add_bounded_filters(&mut environment, meter);

    let meter_of = Arc::clone(meter);
    environment.set_formatter(move |output, state, value| {
        meter_of.make(meter_of.measure(value)?)?;
        escape_formatter(output, state, value)
    });
    let meter_of = Arc::clone(meter);
    environment.set_unknown_method_callback(move |state, value, method, arguments| {
        methods::call(state, value, method, arguments, &meter_of)
    });
    let meter_of = Arc::clone(meter);
    environment.add_filter("tojson", move |value: &Value, arguments: Rest<ValueOrKwargs>| {
        let (positional, named) = named_arguments(arguments.into_values())?;
        json::tojson(value, &positional, &named, &meter_of)
    });
    environment.add_filter("trim", |value: &Value, characters: Option<String>| {
        let text = value.to_string();
        text.trim_matches(|character| {
            characters.as_ref().map_or_else(|| methods::is_space(character), |set| set.contains(character))
        })
        .to_string()
    });
    // As in Python, strings are sequences too, `none` is no iterable, and what is undefined counts as empty.
    let is_iterable = |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Iterable | Map | Seq | String | Undefined)
    };
    environment.add_test("sequence", is_iterable);
    environment.add_test("iterable", is_iterable);

    let meter_of = Arc::clone(meter);
    environment.add_function("raise_exception", move |message: &Value| -> Result<Value, Error> {
        meter_of.make(meter_of.measure(message)?)?;
        Err(meter_of.refuse(message.to_string()))
    });
    let now = options.now;
    environment.add_function("strftime_now", move |format: &str| clock::strftime(format, now));
    environment
}

/// The filters that [`guard`] sends values through.
fn add_guards(environment: &mut Environment<'static>, meter: &Arc<Meter>) {
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::MADE, move |value: Value| -> Result<Value, Error> {
        let value = settled(value)?;
        meter_of.make(meter_of.measure(&value)?)?;
        Ok(value)
    });
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::TAKEN, move |value: Value| -> Result<Value, Error> {
        let value = settled(value)?;
        meter_of.measure(&value)?;
        let size = match value.kind() {
            ValueKind::String => value.as_str().map_or(0, str::len),
            _ => value.len().unwrap_or(0) * size_of::<Value>(),
        };
        meter_of.make(size as u64)?;
        Ok(value)
    });
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::READ, move |value: Value| -> Result<Value, Error> {
        meter_of.measure(&value)?;
        Ok(value)
    });
    environment.add_filter(guard::LOOPED, |value: Value| -> Result<Value, Error> {
        if value.is_none() {
            return Err(Error::new(ErrorKind::InvalidOperation, "none cannot be iterated over"));
        }
        Ok(value)
    });
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::SLICE, move |value: &Value, start: &Value, stop: &Value, step: &Value| {
        operators::slice(value, [start, stop, step], &meter_of)
    });
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::ADD, move |left: &Value, right: &Value| operators::add(left, right, &meter_of));
    let meter_of = Arc::clone(meter);
    environment
        .add_filter(guard::MULTIPLY, move |left: &Value, right: &Value| operators::multiply(left, right, &meter_of));
    let meter_of = Arc::clone(meter);
    environment.add_filter(guard::CONCATENATE, move |left: &Value, right: &Value| {
        operators::concatenate(left, right, &meter_of)
    });
    environment.add_filter(guard::REMAINDER, |state: &mut State, left: &Value, right: &Value| {
        operators::remainder(state, left, right)
    });
}

/// Filters whose result can be far bigger than their input: bounded, then run under a name that no template can write.
fn add_bounded_filters(environment: &mut Environment<'static>, meter: &Arc<Meter>) {
    environment.add_filter("unbounded-join", filters::join);
    environment.add_filter("unbounded-replace", filters::replace);
    environment.add_filter("unbounded-indent", filters::indent);
    environment.add_filter("unbounded-batch", filters::batch);
    environment.add_filter("unbounded-slice", filters::slice);
    environment.add_filter("unbounded-format", filters::format);
    for (name, unbounded) in [
        ("join", "unbounded-join"),
        ("replace", "unbounded-replace"),
        ("indent", "unbounded-indent"),
        ("batch", "unbounded-batch"),
        ("slice", "unbounded-slice"),
        ("format", "unbounded-format"),
    ] {
        let meter_of = Arc::clone(meter);
        environment.add_filter(
            name,
            move |state: &mut State, arguments: Rest<ValueOrKwargs>| -> Result<Value, Error> {
                let arguments = arguments.into_values();
                methods::bound(name, &arguments, &meter_of)?;
                state.apply_filter(unbounded, &arguments)
            },
        );
    }
}

/// A lazy iterator as a list: chains of them would be walked, and dropped, recursively. Its length is bounded by the meter of
/// what it was made from.
fn settled(value: Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Iterable {
        return Ok(Value::from(value.try_iter()?.collect::<Vec<Value>>()));
    }
    Ok(value)
}

/// Positional and named arguments of a filter.
fn named_arguments(mut arguments: Vec<Value>) -> Result<(Vec<Value>, Kwargs), Error> {
    let named = match arguments.pop_if(|last| last.is_kwargs()) {
        Some(named) => Kwargs::try_from(named)?,
        None => Kwargs::from_iter::<[(&str, Value); 0]>([]),
    };
    Ok((arguments, named))
}
