//! The own format: one JSON object on each line, described in docs/reference/task-files.md.

use regex::RegexBuilder;

use super::Read;
use super::grading::Grading;
use super::item::Item;
use super::source::{Fields, Source};
use crate::{Continuation, ProbeError};

/// The scorers that a file can name.
pub const SCORERS: [&str; 6] = ["choice", "exact", "numeric", "digits", "expected", "regex"];
const HEADER_KEYS: [&str; 5] = ["task", "scorer", "system", "max_tokens", "note"];
const QUESTION_KEYS: [&str; 13] = [
    "id",
    "question",
    "group",
    "scorer",
    "choices",
    "answer",
    "reference",
    "pattern",
    "tolerance",
    "scale",
    "system",
    "max_tokens",
    "note",
];
const MOST_TOKENS: u64 = 65_536;
/// Most options of an expected score, each of which costs a continuation.
const MOST_OPTIONS: f64 = 101.0;

/// What the first line says about all others.
#[derive(Debug, Default)]
struct Header {
    scorer: Option<String>,
    system: Option<String>,
    max_tokens: Option<usize>,
    group: String,
}

pub(super) fn read(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut header = Header { group: "task".to_owned(), ..Header::default() };
    let mut items = Vec::new();
    for (index, part) in source.lines()?.into_iter().enumerate() {
        let fields = part.object()?;
        if index == 0 && fields.get("task").is_some() {
            known_keys(&fields, &HEADER_KEYS)?;
            header.group = fields.text("task")?.to_owned();
            header.scorer = optional(&fields, "scorer")?;
            header.system = optional(&fields, "system")?;
            header.max_tokens = max_tokens(&fields)?;
            if let Some(scorer) = &header.scorer {
                check_scorer(&fields, scorer)?;
            }
        } else {
            items.push(question(&fields, &header)?);
        }
    }
    Ok(Read { items, harness: None, stops: &["\nQuestion", "\n\n"] })
}

fn question(fields: &Fields<'_>, header: &Header) -> Result<Item, ProbeError> {
    known_keys(fields, &QUESTION_KEYS)?;
    let id = match fields.get("id") {
        // Unlike an index, it cannot be taken for an id of another line.
        None => format!("line {}", fields.part.line),
        Some(serde_json::Value::String(id)) if !id.is_empty() => id.clone(),
        Some(serde_json::Value::Number(id)) => id.to_string(),
        Some(_) => return Err(fields.wrong("id", "a text or a number")),
    };
    let group = optional(fields, "group")?.unwrap_or_else(|| header.group.clone());
    let text = fields.prompt("question")?;
    let scorer = optional(fields, "scorer")?.or_else(|| header.scorer.clone());
    let scorer = scorer.unwrap_or_else(|| {
        let named = ["choices", "pattern", "scale"].iter().position(|key| fields.get(key).is_some());
        let number = fields.get("reference").is_some_and(serde_json::Value::is_number);
        let inferred = named.map(|place| ["choice", "regex", "expected"][place]);
        inferred.unwrap_or(if number { "numeric" } else { "exact" }).to_owned()
    });
    check_scorer(fields, &scorer)?;
    let grading = grading(fields, &scorer)?;
    let mut item = Item::new(id, &group, text.to_owned(), &fields.part, grading.clone());
    match grading {
        Grading::Choice(choices, gold) => item = item.with_choices(&choices, gold),
        Grading::Expected { scale: [low, high], .. } if low.fract() == 0.0 && high - low < MOST_OPTIONS => {
            let options = (0..=(high - low) as i64).map(|step| low + step as f64);
            let option = |value: f64| Continuation { read: String::new(), said: value.to_string(), value };
            item.question.continuations = vec![options.map(option).collect()];
        }
        _ => {}
    }
    item.question.system = optional(fields, "system")?.or_else(|| header.system.clone());
    item.question.max_new_tokens = max_tokens(fields)?.or(header.max_tokens).unwrap_or(64);
    Ok(item)
}

fn grading(fields: &Fields<'_>, scorer: &str) -> Result<Grading, ProbeError> {
    Ok(match scorer {
        "choice" => {
            let choices = fields.choices("choices")?;
            let gold = match fields.needed("answer")?.as_str() {
                Some(text) => choices.iter().position(|choice| choice == text),
                None => Some(fields.index("answer", choices.len())?),
            };
            Grading::Choice(
                choices,
                gold.ok_or_else(|| fields.wrong("answer", "one of the choices, or its index from 0"))?,
            )
        }
        "exact" => {
            let references = match fields.needed("reference")? {
                serde_json::Value::Array(_) => fields.texts("reference")?,
                serde_json::Value::Number(number) => vec![number.to_string()],
                _ => vec![fields.text("reference")?.to_owned()],
            };
            // All else is dress, which is not compared.
            if references.iter().any(|reference| !reference.contains(char::is_alphanumeric)) {
                return Err(fields.wrong("reference", "a text with letters or digits"));
            }
            Grading::Exact(references)
        }
        "numeric" => {
            let tolerance = if fields.get("tolerance").is_some() { number(fields, "tolerance")? } else { 0.0 };
            if tolerance < 0.0 {
                return Err(fields.wrong("tolerance", "a share of the reference, 0 or more"));
            }
            Grading::Numeric(number(fields, "reference")?, tolerance)
        }
        "digits" => {
            let value = number(fields, "reference")?;
            if value < 1.0 || value.fract() != 0.0 {
                return Err(fields.wrong("reference", "a whole number from 1, of which digits can be right"));
            }
            Grading::Digits(value)
        }
        "expected" => {
            let ends = fields
                .needed("scale")?
                .as_array()
                .map(|ends| ends.iter().filter_map(serde_json::Value::as_f64).collect());
            let scale = match ends.unwrap_or_else(Vec::new).as_slice() {
                &[low, high] if low < high => [low, high],
                _ => return Err(fields.wrong("scale", "its two ends, the lower first")),
            };
            let value = number(fields, "reference")?;
            if !(scale[0]..=scale[1]).contains(&value) {
                return Err(
                    fields.wrong("reference", &format!("a number on the scale from {} to {}", scale[0], scale[1]))
                );
            }
            Grading::Expected { value, scale }
        }
        _ => {
            let pattern = RegexBuilder::new(fields.text("pattern")?).size_limit(1 << 20).build();
            Grading::Pattern(pattern.map_err(|error| {
                let reason = error.to_string();
                fields.refuse(format!(
                    "`pattern` is no regular expression: {}",
                    reason.lines().last().unwrap_or_default().trim()
                ))
            })?)
        }
    })
}

fn check_scorer(fields: &Fields<'_>, scorer: &str) -> Result<(), ProbeError> {
    let expected = format!("one of {}", SCORERS.join(", "));
    if SCORERS.contains(&scorer) { Ok(()) } else { Err(fields.wrong("scorer", &expected)) }
}

/// A key that nothing reads is a mistyped one.
fn known_keys(fields: &Fields<'_>, known: &[&str]) -> Result<(), ProbeError> {
    let mut keys = fields.values.as_object().into_iter().flatten().map(|(key, _)| key);
    match keys.find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(fields.refuse(format!("the key `{key}` is unknown; expected some of {}", known.join(", ")))),
    }
}

fn optional(fields: &Fields<'_>, key: &str) -> Result<Option<String>, ProbeError> {
    fields.get(key).map(|_| fields.text(key).map(str::to_owned)).transpose()
}

fn number(fields: &Fields<'_>, key: &str) -> Result<f64, ProbeError> {
    let number = fields.needed(key)?.as_f64().filter(|number| number.is_finite());
    number.ok_or_else(|| fields.wrong(key, "a number"))
}

fn max_tokens(fields: &Fields<'_>) -> Result<Option<usize>, ProbeError> {
    let Some(value) = fields.get("max_tokens") else { return Ok(None) };
    let count = value.as_u64().filter(|count| (1..=MOST_TOKENS).contains(count));
    count.map(|count| Some(count as usize)).ok_or_else(|| fields.wrong("max_tokens", "a whole number from 1 to 65536"))
}
