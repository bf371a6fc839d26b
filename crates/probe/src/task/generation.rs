//! Sets whose answers are generated: GSM8K, MATH-500, IFEval.

use super::filters::{FINAL_ANSWER, THE_ANSWER_IS};
use super::grading::Grading;
use super::item::Item;
use super::source::{Fields, Part, Source};
use super::{Harness, Read, examples, latex};
use crate::instruction::Instruction;
use crate::{ProbeError, ProbeFile};

const GSM8K_MEASURES: [(&str, &str); 2] = [("exact_match", "strict-match"), ("exact_match", "flexible-extract")];
const GSM8K_COT_STOPS: &[&str] = &["Q:", "</s>", "<|im_end|>"];

/// `{"question": …, "answer": "… #### 18"}` on each line, as test.jsonl of openai/grade-school-math; asked as
/// `gsm8k_cot_zeroshot` 3.0.
pub(super) fn gsm8k(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let question = fields.prompt("question")?;
        let prompt = format!("Q: {question}\nA: Let's think step by step.");
        let grading = Grading::Gsm8k(solution(&fields)?, THE_ANSWER_IS);
        items.push(gsm8k_item(&part, question, prompt, grading));
    }
    let harness = Harness::new("gsm8k_cot_zeroshot", 3.0, GSM8K_MEASURES.to_vec());
    Ok(Read { items, harness: Some(harness), stops: GSM8K_COT_STOPS })
}

/// The same file, each question behind five worked examples of the training split; asked as `gsm8k` 3.0.
pub(super) fn gsm8k_with_examples(source: &Source<'_>, file: &ProbeFile) -> Result<Read, ProbeError> {
    let mut shown = examples::Drawn::read(examples::needed("gsm8k-5shot", file)?)?;
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let question = fields.prompt("question")?;
        let prompt = format!("Question: {question}\nAnswer:");
        let grading = Grading::Gsm8k(solution(&fields)?, FINAL_ANSWER);
        items.push(gsm8k_item(&part, question, prompt, grading).with_examples(&shown.next()));
    }
    let harness = Harness::new("gsm8k", 3.0, GSM8K_MEASURES.to_vec()).with_shots(examples::GSM8K_SHOTS);
    Ok(Read { items, harness: Some(harness), stops: &["Question:", "</s>", "<|im_end|>"] })
}

/// The same file, each question behind the eight worked examples of the harness's own file; asked as `gsm8k_cot` 3.0.
pub(super) fn gsm8k_cot(source: &Source<'_>, file: &ProbeFile) -> Result<Read, ProbeError> {
    let shown = examples::gsm8k_cot(examples::needed("gsm8k-cot", file)?)?;
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let question = fields.prompt("question")?;
        let prompt = format!("Q: {question}\nA:");
        let grading = Grading::Gsm8k(solution(&fields)?, THE_ANSWER_IS);
        items.push(gsm8k_item(&part, question, prompt, grading).with_examples(&shown));
    }
    let harness = Harness::new("gsm8k_cot", 3.0, GSM8K_MEASURES.to_vec()).with_shots(examples::GSM8K_COT_SHOTS);
    Ok(Read { items, harness: Some(harness), stops: GSM8K_COT_STOPS })
}

/// A question of the file, the same one in whichever words it is asked.
fn gsm8k_item(part: &Part<'_>, question: &str, prompt: String, grading: Grading) -> Item {
    let key = grading.example();
    Item::new(part.key.clone(), "gsm8k", prompt, part, grading).identified_by(&[question, &key])
}

/// A solution that ends with the answer.
fn solution(fields: &Fields<'_>) -> Result<String, ProbeError> {
    let solution = fields.text("answer")?;
    let is_solved = solution.rsplit_once("####").is_some_and(|(_, answer)| answer.contains(char::is_alphanumeric));
    if !is_solved {
        return Err(fields.wrong("answer", "a solution that ends with `#### ` and the number"));
    }
    Ok(solution.to_owned())
}

/// `{"problem": …, "solution": …, "answer": …, "subject": …, "unique_id": …}` on each line, as MATH-500; asked as
/// `hendrycks_math500` 1.0.
pub(super) fn math500(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let key = match fields.get("answer") {
            Some(_) => fields.text("answer")?,
            None => latex::boxed(fields.text("solution")?)
                .ok_or_else(|| fields.wrong("solution", "a solution with the answer in `\\boxed{…}`"))?,
        };
        if key.trim().is_empty() {
            let named = if fields.get("answer").is_some() { "answer" } else { "solution" };
            return Err(fields.wrong(named, "an answer that is not empty"));
        }
        let id = if fields.get("unique_id").is_some() { fields.text("unique_id")? } else { &part.key };
        let group = if fields.get("subject").is_some() { fields.text("subject")? } else { "math" };
        let prompt = format!("Problem: {}\nAnswer:", fields.prompt("problem")?);
        items.push(Item::new(id.to_owned(), group, prompt, &part, Grading::Latex(key.to_owned())));
    }
    let harness = Harness::new("hendrycks_math500", 1.0, vec![("exact_match", "none")]);
    Ok(Read { items, harness: Some(harness), stops: &["Problem:"] })
}

/// `{"key": 1000, "prompt": …, "instruction_id_list": […], "kwargs": [{…}, …]}` on each line, as input_data.jsonl of
/// google-research/instruction_following_eval; asked as `ifeval` 4.0.
pub(super) fn ifeval(source: &Source<'_>) -> Result<Read, ProbeError> {
    let mut items = Vec::new();
    for part in source.lines()? {
        let fields = part.object()?;
        let id = match fields.needed("key")? {
            serde_json::Value::String(key) => key.clone(),
            key => key.to_string(),
        };
        let ids = fields.texts("instruction_id_list")?;
        let arguments = fields.needed("kwargs")?.as_array();
        let arguments = arguments.filter(|arguments| arguments.len() == ids.len());
        let expected = format!("a list of {} objects, one for each instruction", ids.len());
        let arguments = arguments.ok_or_else(|| fields.wrong("kwargs", &expected))?;
        let read = |(id, arguments): (&String, &serde_json::Value)| {
            Instruction::read(id, arguments).map_err(|reason| fields.refuse(reason))
        };
        let instructions: Vec<Instruction> = ids.iter().zip(arguments).map(read).collect::<Result<_, _>>()?;
        let group = ids[0].split(':').next().unwrap_or_default().to_owned();
        let text = serde_json::json!({ "instruction_id_list": ids, "kwargs": arguments }).to_string();
        let grading = Grading::Instructions(instructions, text);
        let mut item = Item::new(id, &group, fields.prompt("prompt")?.to_owned(), &part, grading);
        item.question.max_new_tokens = 1_280;
        items.push(item);
    }
    let measures =
        ["prompt_level_strict_acc", "inst_level_strict_acc", "prompt_level_loose_acc", "inst_level_loose_acc"];
    let measures = measures.map(|metric| (metric, "none")).to_vec();
    let harness = Harness::new("ifeval", 4.0, measures);
    Ok(Read { items, harness: Some(harness), stops: &[] })
}
