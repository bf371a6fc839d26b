//! `neuro ask`: one prompt, one path, the answer as it comes.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Read};

use anyhow::Context;
use neuro_engine::{Answer, GenerateOptions, Plain, Prompt, Rule, StopReason, is_looping};
use neuro_scan::Subject;
use neuro_text::{Detokenizer, Message};
use serde_json::json;

use crate::cli::AskArgs;
use crate::error::Failure;
use crate::model::{Model, parse_path};
use crate::printer::Printer;
use crate::results::JSON_SCHEMA;
use crate::sampling;

/// Answers.
///
/// # Errors
/// When the model or the path is refused, the model has no tokenizer, or stdout cannot be written.
pub(crate) fn run(args: &AskArgs, printer: &Printer) -> anyhow::Result<()> {
    let model = Model::find(&args.model, args.load.need(), printer)?;
    let subject = model.subject(&args.load)?;
    let path = parse_path(args.path.as_deref(), subject.depth())?;
    let text = subject.require_text()?;
    let prompt = prompt(args.prompt.as_deref(), printer)?;
    let tokens = tokens(&subject, &prompt, args)?;

    let sink = RefCell::new(Sink { detokenizer: text.detokenizer(), text: String::new(), failure: None });
    let shown = (!args.json).then_some(printer);
    let watch = |_: usize, tokens: &[u32]| {
        let newest = tokens.last().copied()?;
        if !sink.borrow_mut().take(newest, shown) {
            return Some(StopReason::StopRule);
        }
        is_looping(tokens).then_some(StopReason::Loop)
    };
    let end_tokens = subject.end_tokens();
    let suppress = &subject.checkpoint().generation.suppress_tokens;
    let rule = args.sampling.rule(&subject.checkpoint().generation);
    let penalty = subject.checkpoint().generation.repetition_penalty.filter(|&penalty| penalty != 1.0);
    if let (Rule::Sample(_), Some(penalty)) = (&rule, penalty) {
        printer
            .warning(format_args!("the model's settings ask for repetition_penalty {penalty}, which is not applied"));
    }
    let options = GenerateOptions { eos: &end_tokens, suppress, rule, stop: &watch };
    let read = Prompt { tokens, limit: args.max_tokens, question: 0, draw: 0 };
    let answer = Plain::answer(subject.decoder()?, &path, &read, &options)?;
    let tokens = read.tokens;
    let said = sink.into_inner().finish(shown)?;

    if args.json {
        return printer.json(&json!({
            "schema": JSON_SCHEMA,
            "model": subject.model_info(),
            "path": path.to_string(),
            "compute": subject.weight_type().name(),
            "sampling": sampling::json(&rule),
            "prompt_tokens": tokens.len(),
            "answer": said,
            "tokens": answer.tokens,
            "stop": answer.stop.name(),
        }));
    }
    if !said.ends_with('\n') {
        printer.line("")?;
    }
    remark(&answer, args, printer);
    let (context, length) = (subject.config().max_position_embeddings, tokens.len() + answer.tokens.len());
    if length > context {
        printer.warning(format_args!("prompt and answer have {length} tokens, the model's context {context}"));
    }
    Ok(())
}

/// The prompt as argument, or from stdin.
fn prompt(argument: Option<&str>, printer: &Printer) -> anyhow::Result<String> {
    if let Some(prompt) = argument.filter(|prompt| *prompt != "-") {
        return Ok(prompt.to_owned());
    }
    if io::stdin().is_terminal() {
        printer.note("reading the prompt from the terminal; end it with Ctrl-D on a line of its own");
    }
    let mut prompt = String::new();
    io::stdin().lock().read_to_string(&mut prompt).context("the prompt cannot be read from stdin")?;
    // Editors and `echo` end a text with a line end that is not meant.
    if prompt.ends_with('\n') {
        prompt.pop();
        if prompt.ends_with('\r') {
            prompt.pop();
        }
    }
    Ok(prompt)
}

/// The prompt as the model reads it: in its chat template where it has one.
fn tokens(subject: &Subject, prompt: &str, args: &AskArgs) -> anyhow::Result<Vec<u32>> {
    let tokens = if subject.is_chat() && !args.raw {
        let system = args.system.iter().map(Message::system);
        subject.chat_prompt(&system.chain([Message::user(prompt)]).collect::<Vec<_>>())?
    } else if args.system.is_some() {
        let failure = Failure::new(format!("{} has no chat template, so it has no place for --system", subject.name()));
        return Err(failure.hint("write the instruction into the prompt").into());
    } else {
        subject.plain_prompt(prompt)?
    };
    if tokens.is_empty() {
        return Err(Failure::new("the prompt is empty").hint("neuro ask MODEL 'Once upon a time'").into());
    }
    Ok(tokens)
}

/// Takes tokens, gives text.
struct Sink<'a> {
    detokenizer: Detokenizer<'a>,
    text: String,
    /// Why the text ended early: what went wrong while it was decoded or shown.
    failure: Option<anyhow::Error>,
}

impl Sink<'_> {
    /// Takes the next token and shows what is certain of its text; false when that failed.
    fn take(&mut self, token: u32, shown: Option<&Printer>) -> bool {
        let piece = self.detokenizer.push(token).map_err(anyhow::Error::from);
        let given = piece.and_then(|piece| give(&mut self.text, piece, shown));
        self.failure = given.err();
        self.failure.is_none()
    }

    /// Shows what was held back; gives the whole text.
    fn finish(self, shown: Option<&Printer>) -> anyhow::Result<String> {
        let Self { detokenizer, mut text, failure } = self;
        match failure {
            Some(failure) => Err(failure),
            None => give(&mut text, detokenizer.finish()?, shown).map(|()| text),
        }
    }
}

fn give(text: &mut String, piece: Option<String>, shown: Option<&Printer>) -> anyhow::Result<()> {
    let Some(piece) = piece else { return Ok(()) };
    text.push_str(&piece);
    shown.map_or(Ok(()), |printer| printer.data(&piece))
}

/// Says why an answer that is not complete ended.
fn remark(answer: &Answer, args: &AskArgs, printer: &Printer) {
    match answer.stop {
        StopReason::Length => {
            printer.note(format_args!("stopped after {} tokens; --max-tokens allows more", args.max_tokens));
        }
        StopReason::Loop => printer.note("stopped: the answer repeats itself"),
        StopReason::NotFinite => printer.warning("stopped: this path drives the activations to infinity"),
        _ => {}
    }
}
