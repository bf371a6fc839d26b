//! Typed access to the metadata of a foreign file. A missing key is `None`; what is not plausible is an error that names
//! file and key.

use std::path::Path;

use super::header::GgufHeader;
use super::value::Value;
use crate::error::{CheckpointError, shorten};

/// The metadata of a file.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    header: &'a GgufHeader,
    file: &'a Path,
}

impl<'a> Keys<'a> {
    pub(super) fn new(header: &'a GgufHeader, file: &'a Path) -> Self {
        Self { header, file }
    }

    /// An error about one key.
    pub(super) fn refuse(&self, key: &str, problem: impl Into<String>) -> CheckpointError {
        CheckpointError::Config { file: self.file.to_path_buf(), key: shorten(key), problem: problem.into() }
    }

    fn wrong(&self, key: &str, found: &Value, expected: &str) -> CheckpointError {
        self.refuse(key, format!("is {}, expected {expected}", found.describe()))
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.header.metadata.get(key)
    }

    /// Every key.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.header.metadata.keys().map(String::as_str)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a string")),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&'a [String]>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts)),
            Some(other) => Err(self.wrong(key, other, "an array of strings")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// A whole number of at least 0.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, CheckpointError> {
        self.value(key).map(|value| self.count_of(key, value)).transpose()
    }

    fn count_of(&self, key: &str, value: &Value) -> Result<u64, CheckpointError> {
        let number = if let Value::Integer(number) = value { u64::try_from(*number).ok() } else { None };
        number.ok_or_else(|| self.wrong(key, value, "a whole number of at least 0"))
    }

    /// A whole number of at least 0 that some files give for each layer; then all must be the same.
    pub(super) fn same_for_all_layers(&self, key: &str) -> Result<Option<u64>, CheckpointError> {
        let Some(Value::Numbers(numbers)) = self.value(key) else { return self.count(key) };
        let mut first = None;
        for (layer, value) in numbers.iter().enumerate() {
            let found = self.count_of(key, &value)?;
            let expected = *first.get_or_insert(found);
            if found != expected {
                let problem = format!(
                    "is {expected} for layer 0 and {found} for layer {layer}; layers of different sizes are not supported"
                );
                return Err(self.refuse(key, problem));
            }
        }
        Ok(first)
    }

    /// A finite number.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, CheckpointError> {
        self.value(key)
            .map(|value| match value {
                Value::Float(number) if number.is_finite() => Ok(*number),
                Value::Integer(number) => Ok(*number as f64),
                other => Err(self.wrong(key, other, "a finite number")),
            })
            .transpose()
    }

    /// An array of numbers, each as `of` reads it.
    pub(super) fn numbers<T>(
        &self,
        key: &str,
        expected: &str,
        of: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, CheckpointError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Numbers(numbers)) => {
                let read = |value: Value| of(&value).ok_or_else(|| self.wrong(key, &value, expected));
                numbers.iter().map(read).collect::<Result<_, _>>().map(Some)
            }
            // An empty array of any kind is one of numbers as well.
            Some(Value::Texts(texts)) if texts.is_empty() => Ok(Some(Vec::new())),
            Some(other) => Err(self.wrong(key, other, "an array of numbers")),
        }
    }

    /// An array with an item for each layer.
    pub(super) fn flags_of_layers(&self, key: &str, layers: usize) -> Result<Option<Vec<bool>>, CheckpointError> {
        let flag = |value: &Value| match value {
            Value::Flag(flag) => Some(*flag),
            Value::Integer(number) => Some(*number != 0),
            _ => None,
        };
        let Some(flags) = self.numbers(key, "true or false", flag)? else { return Ok(None) };
        if flags.len() != layers {
            return Err(self.refuse(key, format!("has {} items, expected {layers}, one per layer", flags.len())));
        }
        Ok(Some(flags))
    }
}
