//! BIG-Bench Hard (Suzgun et al., 2022), one file per task as in suzgunmirac/BIG-Bench-Hard.
//!
//! Asked as the tasks `bbh_zeroshot_*` 3.0 of lm-evaluation-harness, whose descriptions and filters stand here, or as
//! `bbh_cot_fewshot_*` 4.0.

use super::filters::BbhFilter;
use super::grading::Grading;
use super::item::Item;
use super::source::{Part, Source};
use super::{Harness, Read, examples, file_name};
use crate::{ProbeError, ProbeFile};

const YES_NO: BbhFilter = BbhFilter::First(r"\b(Yes|No|yes|no)\b");
const DEDUCTION: &str = "A logical deduction task which requires deducing the order of a sequence of objects.";
const TRACKING: &str = "A task requiring determining the final positions of a set of objects given their initial positions \
                        and a description of a sequence of swaps.";

/// Name, the description before every question, and what `flexible-extract` does.
const TASKS: [(&str, &str, BbhFilter); 27] = [
    (
        "boolean_expressions",
        "Evaluate the result of a random Boolean expression.",
        BbhFilter::First(r"\b(True|False)\b"),
    ),
    ("causal_judgement", "Answer questions about causal attribution.", YES_NO),
    ("date_understanding", "Infer the date from context.", BbhFilter::Choice),
    ("disambiguation_qa", "Clarify the meaning of sentences with ambiguous pronouns.", BbhFilter::Choice),
    ("dyck_languages", "Correctly close a Dyck-n word.", BbhFilter::First(r"[\x22 \[(<{}>)\]]+")),
    (
        "formal_fallacies",
        "Distinguish deductively valid arguments from formal fallacies.",
        BbhFilter::First(r"\b(valid|invalid)\b"),
    ),
    ("geometric_shapes", "Name geometric shapes from their SVG paths.", BbhFilter::Choice),
    ("hyperbaton", "Order adjectives correctly in English sentences.", BbhFilter::Choice),
    ("logical_deduction_five_objects", DEDUCTION, BbhFilter::Choice),
    ("logical_deduction_seven_objects", DEDUCTION, BbhFilter::Choice),
    ("logical_deduction_three_objects", DEDUCTION, BbhFilter::Choice),
    ("movie_recommendation", "Recommend movies similar to the given list of movies.", BbhFilter::Choice),
    ("multistep_arithmetic_two", "Solve multi-step arithmetic problems.", BbhFilter::Number),
    (
        "navigate",
        "Given a series of navigation instructions, determine whether one would end up back at the starting point.",
        YES_NO,
    ),
    (
        "object_counting",
        "Questions that involve enumerating objects and asking the model to count them.",
        BbhFilter::Number,
    ),
    ("penguins_in_a_table", "Answer questions about a table of penguins and their attributes.", BbhFilter::Choice),
    (
        "reasoning_about_colored_objects",
        "Answer extremely simple questions about the colors of objects on a surface.",
        BbhFilter::Choice,
    ),
    ("ruin_names", "Select the humorous edit that 'ruins' the input movie or musical artist name.", BbhFilter::Choice),
    (
        "salient_translation_error_detection",
        "Detect the type of error in an English translation of a German source sentence.",
        BbhFilter::Choice,
    ),
    (
        "snarks",
        "Determine which of two sentences is sarcastic.\n\nAccording to Cambridge University Dictionary, sarcasm is \"the use of remarks that clearly mean the opposite of what they say, made in order to hurt someone's feelings or to criticize something in a humorous way.\" Sarcastic sentences often contain satirical or ironic utterances, hyperboles, ambivalent or witty remarks.",
        BbhFilter::Choice,
    ),
    (
        "sports_understanding",
        "Determine whether an artificially constructed sentence relating to sports is plausible or not.",
        BbhFilter::Map { no: "no|not plausible", yes: "yes|plausible" },
    ),
    (
        "temporal_sequences",
        "Task description: Answer questions about which times certain events could have occurred.",
        BbhFilter::Choice,
    ),
    ("tracking_shuffled_objects_five_objects", TRACKING, BbhFilter::Choice),
    ("tracking_shuffled_objects_seven_objects", TRACKING, BbhFilter::Choice),
    ("tracking_shuffled_objects_three_objects", TRACKING, BbhFilter::Choice),
    (
        "web_of_lies",
        "Evaluate a random boolean function expressed as a word problem.",
        BbhFilter::Map {
            no: "no|does not tell the truth|is not telling the truth",
            yes: "yes|tells the truth|is telling the truth",
        },
    ),
    ("word_sorting", "Sort a list of words.", BbhFilter::Words),
];

/// `{"examples": [{"input": …, "target": …}, …]}`; the task is known by the file's name.
pub(super) fn read(source: &Source<'_>, file: &str) -> Result<Read, ProbeError> {
    let (name, description, filter) = task(source, file)?;
    let mut items = Vec::new();
    for part in questions(source)? {
        let fields = part.object()?;
        let (input, target) = (fields.prompt("input")?, fields.text("target")?);
        let prompt = format!("{description}\n\nQ: {input}\nA:");
        let item = Item::new(part.key.clone(), name, prompt, &part, Grading::Bbh(target.to_owned(), filter));
        items.push(item.identified_by(&[input, target]));
    }
    let measures = vec![("exact_match", "strict-match"), ("exact_match", "flexible-extract")];
    let harness = Harness::new(format!("bbh_zeroshot_{name}"), 3.0, measures);
    Ok(Read { items, harness: Some(harness), stops: &["</s>", "Q:", "<|im_end|>"] })
}

/// The same files, each question behind three worked examples; asked as `bbh_cot_fewshot_*` 4.0, which the harness calls
/// `bbh`.
pub(super) fn read_with_examples(source: &Source<'_>, file: &ProbeFile) -> Result<Read, ProbeError> {
    let (name, ..) = task(source, &file.name)?;
    let shown = examples::bbh(examples::needed("bbh-cot", file)?)?;
    let mut items = Vec::new();
    for part in questions(source)? {
        let fields = part.object()?;
        let (input, target) = (fields.prompt("input")?, fields.text("target")?);
        let prompt = format!("Q: {input}\nA: Let's think step by step.\n");
        let grading = Grading::BbhSteps(target.to_owned());
        let item = Item::new(part.key.clone(), name, prompt, &part, grading);
        let mut item = item.identified_by(&[input, target]).with_examples(&shown);
        item.question.max_new_tokens = 1_024;
        items.push(item);
    }
    let harness = Harness::new(format!("bbh_cot_fewshot_{name}"), 4.0, vec![("exact_match", "get-answer")]);
    Ok(Read { items, harness: Some(harness.with_shots(examples::BBH_SHOTS)), stops: &["</s>", "Q", "\n\n"] })
}

/// The task that a file's name says.
fn task(source: &Source<'_>, file: &str) -> Result<(&'static str, &'static str, BbhFilter), ProbeError> {
    let stem = file_name(file);
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    let Some((name, description, filter)) = TASKS.iter().find(|(name, ..)| *name == stem) else {
        let known: Vec<&str> = TASKS.iter().map(|(name, ..)| *name).collect();
        let problem =
            format!("no task of BBH has the name of this file; the files are {}", known.join(".json, ") + ".json");
        return Err(source.refuse(problem));
    };
    Ok((*name, *description, *filter))
}

fn questions<'a>(source: &Source<'a>) -> Result<Vec<Part<'a>>, ProbeError> {
    let members = source.members()?;
    let examples = members.iter().find(|part| part.key == "examples");
    let examples =
        examples.ok_or_else(|| source.refuse("the key `examples` is missing; expected a list of questions"))?;
    source.elements(examples)
}
