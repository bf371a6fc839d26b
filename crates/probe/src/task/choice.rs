//! Sets of which probabilities are compared: ARC, PIQA, WinoGrande, BoolQ, LAMBADA, as JSON lines of the form that
//! mosaicml/llm-foundry distributes.

use super::grading::Grading;
use super::item::Item;
use super::source::Source;
use super::{Harness, Read};
use crate::{Continuation, ProbeError};

fn harness(task: &str, version: f64, measures: &[&'static str]) -> Option<Harness> {
    let measures = measures.iter().map(|metric| (*metric, "none")).collect();
    Some(Harness::new(task, version, measures))
}

/// `{"query": "Question: …", "choices": […], "gold": 2}`; asked as `arc_easy`, `arc_challenge` and `piqa` 1.0 and
/// `boolq` 2.0.
pub(super) fn lettered(source: &Source<'_>, kind: &'static str) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        // A wrong choice stands twice in 7 questions of ARC-Easy and 4 of ARC-Challenge, in the other sets none does.
        let is_arc = kind.starts_with("arc");
        let choices = if is_arc { fields.options("choices")? } else { fields.choices("choices")? };
        let gold = fields.index("gold", choices.len())?;
        if choices.iter().filter(|choice| choice.trim() == choices[gold].trim()).count() > 1 {
            return Err(fields.wrong("choices", "the right one only once; no answer could be told from a wrong one"));
        }
        if kind == "boolq" && choices != ["no", "yes"] {
            return Err(fields.wrong("choices", "`no` and `yes`, as all of this set have"));
        }
        let query = fields.prompt("query")?.trim_end();
        // The harness writes the passage without a heading.
        let query = if kind == "boolq" { query.strip_prefix("Passage: ").unwrap_or(query) } else { query };
        let prompt = format!("{query}\nAnswer:");
        let group = choices[gold]
            .chars()
            .next()
            .filter(|_| kind == "boolq")
            .map_or(kind, |first| if first == 'y' { "yes" } else { "no" });
        let item = Item::new(part.key.clone(), group, prompt, &part, Grading::Choice(choices.clone(), gold));
        items.push(item.with_choices(&choices, gold));
    }
    let harness = match kind {
        "boolq" => harness("boolq", 2.0, &["acc"]),
        "arc-easy" => harness("arc_easy", 1.0, &["acc", "acc_norm"]),
        "arc-challenge" => harness("arc_challenge", 1.0, &["acc", "acc_norm"]),
        _ => harness("piqa", 1.0, &["acc", "acc_norm"]),
    };
    Ok(Read { items, harness, stops: &["\n"] })
}

/// `{"context_options": [two beginnings], "continuation": …, "gold": 1}`: the continuation is scored behind each; asked as
/// `winogrande` 1.0.
pub(super) fn winogrande(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let contexts = fields.choices("context_options")?;
        let gold = fields.index("gold", contexts.len())?;
        let said = fields.prompt("continuation")?.trim().to_owned();
        let shared = shared_words(&contexts);
        let options: Vec<String> = contexts.iter().map(|context| context[shared..].trim().to_owned()).collect();
        if options.iter().any(String::is_empty) {
            return Err(fields.wrong("context_options", "beginnings of which each goes on for itself"));
        }
        let prompt = contexts[gold][..shared].trim_end().to_owned();
        let mut item = Item::new(part.key.clone(), "winogrande", prompt, &part, Grading::Choice(options.clone(), gold));
        let choice = |(index, option): (usize, &String)| Continuation {
            read: option.clone(),
            said: said.clone(),
            value: f64::from(u8::from(index == gold)),
        };
        item.question.continuations = vec![options.iter().enumerate().map(choice).collect()];
        items.push(item);
    }
    Ok(Read { items, harness: harness("winogrande", 1.0, &["acc"]), stops: &["\n"] })
}

/// Bytes of the words that all texts begin with.
fn shared_words(texts: &[String]) -> usize {
    let first = texts.first().map_or("", String::as_str);
    let common = |text: &String| first.char_indices().zip(text.chars()).take_while(|((_, a), b)| a == b).count();
    let characters = texts.iter().map(common).min().unwrap_or(0);
    let end = first.char_indices().nth(characters).map_or(first.len(), |(place, _)| place);
    first[..end].rfind(' ').map_or(0, |space| space + 1)
}

/// `{"context": …, "continuation": …}`: the last word of a passage; asked as `lambada_openai` 1.0. Its `acc` is whether the
/// word is generated, its `perplexity` e to the negative mean log-probability of the word.
pub(super) fn lambada(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let word = fields.text("continuation")?.trim();
        if word.is_empty() {
            return Err(fields.wrong("continuation", "the word that follows"));
        }
        let context = fields.prompt("context")?.to_owned();
        let mut item = Item::new(part.key.clone(), "lambada", context, &part, Grading::Word(word.to_owned()));
        item.question.max_new_tokens = 8;
        items.push(item);
    }
    Ok(Read { items, harness: harness("lambada_openai", 1.0, &["perplexity", "acc"]), stops: &["\n"] })
}
