//! Typed access to a JSON object of a foreign file. A missing key takes the caller's default; `null` is allowed only
//! where it has a meaning; everything else that is not plausible is an error that names file and key.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::error::{CheckpointError, shorten};

/// Largest size, length or count that a config may ask for.
pub(crate) const LARGEST_SIZE: u64 = 1 << 31;

/// Reads bytes as one JSON object.
pub(crate) fn parse_object(bytes: &[u8], file: &Path) -> Result<Map<String, Value>, CheckpointError> {
    let refuse = |problem: String| CheckpointError::Json { file: file.to_path_buf(), problem };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(refuse(format!("found {}, expected an object", describe(&other)))),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// An object of a JSON file, and where it stands in it. Remembers which keys were asked for, so that what nobody reads can be
/// told.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    file: &'a Path,
    prefix: String,
    /// The keys that were asked for, dotted; shared with the objects within.
    asked: Rc<RefCell<BTreeSet<String>>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn root(object: &'a Map<String, Value>, file: &'a Path) -> Self {
        Self { object, file, prefix: String::new(), asked: Rc::default() }
    }

    /// An error about one key.
    pub(crate) fn refuse(&self, key: &str, problem: impl Into<String>) -> CheckpointError {
        CheckpointError::Config {
            file: self.file.to_path_buf(),
            key: format!("{}{key}", self.prefix),
            problem: problem.into(),
        }
    }

    fn wrong(&self, key: &str, found: &Value, expected: &str) -> CheckpointError {
        self.refuse(key, format!("is {}, expected {expected}", describe(found)))
    }

    /// The same object, to look at without that counting as reading.
    pub(crate) fn aside(&self) -> Self {
        Self { object: self.object, file: self.file, prefix: self.prefix.clone(), asked: Rc::default() }
    }

    /// The keys of this object that nobody has asked for, with their values.
    pub(crate) fn unread(&self) -> Vec<(&'a str, &'a Value)> {
        let asked = self.asked.borrow();
        let is_unread = |key: &str| !asked.contains(&format!("{}{key}", self.prefix));
        self.object.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| is_unread(key)).collect()
    }

    /// The value of a key, `null` too.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(format!("{}{key}", self.prefix));
        self.object.get(key)
    }

    /// Whether the key is there at all, even as `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key; `None` when missing or `null`.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Value> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Whether the value of a key is a number, be it plausible or not.
    pub(crate) fn is_number(&self, key: &str) -> bool {
        self.get(key).is_some_and(Value::is_number)
    }

    /// Every nested object, whatever its key.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Fields<'a>> {
        self.object.iter().filter_map(|(key, value)| {
            let prefix = format!("{}{}.", self.prefix, shorten(key));
            Some(Fields { object: value.as_object()?, file: self.file, prefix, asked: self.asked.clone() })
        })
    }

    /// A nested object; `None` when missing or `null`.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                let (file, asked) = (self.file, self.asked.clone());
                Ok(Some(Fields { object, file, prefix: format!("{}{key}.", self.prefix), asked }))
            }
            Some(other) => Err(self.wrong(key, other, "an object")),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    fn integer(&self, key: &str, value: &Value, least: u64) -> Result<usize, CheckpointError> {
        let number = value.as_u64().filter(|number| (least..=LARGEST_SIZE).contains(number));
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.wrong(key, value, &format!("a whole number from {least} to {LARGEST_SIZE}")))
    }

    /// A size of at least 1.
    pub(crate) fn size(&self, key: &str, default: usize) -> Result<usize, CheckpointError> {
        self.get(key).map_or(Ok(default), |value| self.integer(key, value, 1))
    }

    /// A count that may be 0.
    pub(crate) fn count(&self, key: &str, default: usize) -> Result<usize, CheckpointError> {
        self.get(key).map_or(Ok(default), |value| self.integer(key, value, 0))
    }

    /// A size that may be absent: `default` when the key is missing, `None` when it is `null`.
    pub(crate) fn optional_size(&self, key: &str, default: Option<usize>) -> Result<Option<usize>, CheckpointError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(value) => self.integer(key, value, 1).map(Some),
        }
    }

    /// The width of windows, of which Qwen2-MoE's 5.x writes 0 where `use_sliding_window` is false.
    pub(crate) fn window(&self, default: Option<usize>) -> Result<Option<usize>, CheckpointError> {
        let is_off = self.value("use_sliding_window") == Some(&Value::Bool(false));
        match self.get("sliding_window").and_then(Value::as_u64) {
            Some(0) if is_off => Ok(None),
            _ => self.optional_size("sliding_window", default),
        }
    }

    /// A number above 0 that single precision can hold; `None` when missing or `null`.
    pub(crate) fn positive(&self, key: &str) -> Result<Option<f64>, CheckpointError> {
        self.number(key, "a number above 0 and below 3.4e38", |number| number > 0.0 && number <= f64::from(f32::MAX))
    }

    /// A number for which `accept` holds; `None` when missing or `null`.
    pub(crate) fn number(
        &self,
        key: &str,
        expected: &str,
        accept: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, CheckpointError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = value.as_f64().filter(|&number| number.is_finite() && accept(number));
        number.map(Some).ok_or_else(|| self.wrong(key, value, expected))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, CheckpointError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// A string; `None` when missing or `null`.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a string")),
        }
    }

    /// An array; `None` when missing or `null`.
    pub(crate) fn array(&self, key: &str) -> Result<Option<&'a [Value]>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong(key, other, "an array")),
        }
    }

    /// One token id or a list of them. Real files write −1 for "none" and ids beyond the vocabulary; no such token can be
    /// produced, so they are left out. Duplicates are left out too.
    pub(crate) fn token_ids(&self, key: &str, vocab_size: usize) -> Result<Vec<u32>, CheckpointError> {
        let mut ids = Vec::new();
        let values = match self.value(key) {
            None => &[],
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        for value in values {
            if !value.is_i64() && !value.is_u64() {
                return Err(self.wrong(key, value, "a token id or a list of token ids"));
            }
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            ids.extend(id.filter(|&id| (id as usize) < vocab_size));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// A value as it is shown in a message: scalars in full, the rest by kind.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("\"{}\"", shorten(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
