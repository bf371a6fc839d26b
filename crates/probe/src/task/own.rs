//! Files of probes that come as one JSON object of questions: RYS and EQ-Bench.

use super::grading::Grading;
use super::item::Item;
use super::source::{Fields, Source};
use super::{Harness, Read};
use crate::rys::{self, eq::Intensities};
use crate::{ProbeError, digits, eqbench};

/// `{"0": {"question": …, "answer": 596252164}, …}`, as math_16.json and math_120.json of dnhkng/RYS.
pub(super) fn rys_math(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.members()? {
        let fields = part.object()?;
        let question = fields.prompt("question")?;
        let answer = fields.raw("answer")?;
        // Digits, not a float: answers of 28 digits are among them. What is behind a point is cut, as `int` does.
        let whole = answer.split_once('.').map_or(answer.as_str(), |(whole, _)| whole);
        if whole.is_empty() || !answer.replacen('.', "", 1).chars().all(|digit| digit.is_ascii_digit()) {
            return Err(fields.wrong("answer", "a whole number in digits, not negative"));
        }
        let key = digits::without_leading_zeros(whole).to_owned();
        let group = if question.contains("square root") {
            "square root"
        } else if question.contains("cube root") {
            "cube root"
        } else {
            "other"
        };
        let prompt = format!("{}{question}", rys::NO_THINK);
        let mut item = Item::new(part.key.clone(), group, prompt, &part, Grading::RysMath(key));
        item.question.system = Some(rys::MATH_SYSTEM.to_owned());
        item.question.plain = format!("{}\n\n{question}\nAnswer:", rys::MATH_SYSTEM);
        item.question.max_new_tokens = rys::MAX_NEW_TOKENS;
        items.push(item);
    }
    Ok(Read { items, harness: None, stops: &[] })
}

/// `{"1": {"prompt": …, "reference_answer": {"emotion1": …, "emotion1_score": …, …}}, …}`, as eq_16.json and eq_140.json.
pub(super) fn rys_eq(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.members()? {
        let fields = part.object()?;
        let key =
            if fields.get("reference_answer").is_some() { "reference_answer" } else { "reference_answer_fullscale" };
        let emotions = emotions(&fields, key)?;
        let references: Intensities = std::array::from_fn(|place| emotions[place].1);
        let asked = fields.prompt("prompt")?;
        let prompt = format!("{}{asked}", rys::NO_THINK);
        let item = Item::new(part.key.clone(), "eq", prompt, &part, Grading::RysEq(references));
        let mut item = item.identified_by(&identity(asked, &emotions));
        item.question.plain = asked.to_owned();
        let named: Vec<String> = emotions.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        item.question.key = format!("First pass scores:\n{}", named.join("\n"));
        item.question.max_new_tokens = rys::MAX_NEW_TOKENS;
        items.push(item);
    }
    Ok(Read { items, harness: None, stops: &[] })
}

/// The same form with `reference_answer_fullscale`, as data/eq_bench_v2_questions_171.json of EQ-bench/EQ-Bench.
pub(super) fn eqbench(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.members()? {
        let fields = part.object()?;
        let emotions: [eqbench::Emotion; 4] = emotions(&fields, "reference_answer_fullscale")?;
        let prompt = fields.prompt("prompt")?.to_owned();
        let grading = Grading::EqBench(Box::new(emotions.clone()));
        let item = Item::new(part.key.clone(), "eq", prompt.clone(), &part, grading);
        let mut item = item.identified_by(&identity(&prompt, &emotions));
        // Two passes and a critique between them.
        item.question.max_new_tokens = 1_024;
        items.push(item);
    }
    let measures = vec![("eqbench", "none"), ("percent_parseable", "none")];
    let harness = Harness::new("eq_bench", 2.1, measures);
    Ok(Read { items, harness: Some(harness), stops: &[] })
}

/// The dialogue and the emotions that are asked for: what every version of the prompt has alike. The author's file of 140 asks
/// the dialogues of his file of 16 again, without what follows them there.
fn identity<'a>(prompt: &'a str, emotions: &'a [eqbench::Emotion; 4]) -> [&'a str; 5] {
    let dialogue = prompt.split("[End dialogue]").next().unwrap_or_default().trim();
    let [a, b, c, d] = emotions;
    [dialogue, &a.0, &b.0, &c.0, &d.0]
}

/// Four names with their values, which some files write as text.
fn emotions(fields: &Fields<'_>, key: &str) -> Result<[eqbench::Emotion; 4], ProbeError> {
    let reference = fields.needed(key)?;
    let mut emotions = std::array::from_fn(|_| (String::new(), 0.0));
    for (index, emotion) in emotions.iter_mut().enumerate() {
        let name = format!("emotion{}", index + 1);
        let score = format!("{name}_score");
        let value = reference.get(&score);
        let value = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()));
        let Some(value) = value else {
            return Err(fields.refuse(format!("`{key}` lacks `{score}`; expected a number from 0 to 10")));
        };
        if !(0.0..=10.0).contains(&value) {
            return Err(fields.refuse(format!("`{score}` of `{key}` is {value}; expected a number from 0 to 10")));
        }
        let Some(name) = reference.get(&name).and_then(|name| name.as_str()) else {
            return Err(fields.refuse(format!("`{key}` lacks `{name}`; expected the name of an emotion")));
        };
        *emotion = (name.to_owned(), value);
    }
    Ok(emotions)
}
