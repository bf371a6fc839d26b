//! Chat templates, rendered as `transformers` renders them and bounded as it does not.
//!
//! [`dialect`] translates the one tag that minijinja lacks, [`guard`] rewrites the parsed template so that every value it
//! makes is metered by [`meter`], [`environment`] supplies Python's methods and filters.

mod clock;
mod dialect;
mod environment;
mod guard;
mod json;
mod meter;
mod methods;
mod operators;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use minijinja::machinery::{self, CodeGenerator, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Error, ErrorKind, Value};

use self::meter::Meter;
use crate::error::TextError;
use crate::files::sha256;
use crate::message::{Message, RenderOptions};

/// The largest template that is parsed, in bytes. The largest real one known has some 40 kB.
const SOURCE_LIMIT: usize = 256 << 10;
/// Bytes of stack for parsing and running a template: minijinja recurses along chains of operators and branches, whose length
/// only the size of a tag ([`dialect`]) and of the source bound. The memory is touched only where it is used.
const STACK_BYTES: usize = 256 << 20;
/// Instructions of one rendering; a conversation of 100 turns takes about 20,000.
const FUEL: u64 = 2_000_000;
/// Depth of macros in macros, each of which counts four, and of loops in loops; minijinja's own maximum.
const RECURSION_LIMIT: usize = 500;

/// The chat templates of a model.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// Name → source. One template alone is named `default`.
    sources: BTreeMap<String, String>,
    /// `bos_token` and its like.
    special: BTreeMap<String, String>,
    hash: Option<String>,
}

impl Templates {
    pub(crate) fn new(sources: BTreeMap<String, String>, special: BTreeMap<String, String>) -> Self {
        let hash = sources.get("default").or_else(|| sources.values().next()).map(|source| sha256(source.as_bytes()));
        Self { sources, special, hash }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.sources.keys().map(String::as_str).collect()
    }

    pub(crate) fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    pub(crate) fn reads_clock(&self) -> bool {
        self.sources.values().any(|source| source.contains("strftime_now"))
    }

    pub(crate) fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        if self.is_empty() {
            return Err(TextError::NoTemplate);
        }
        if messages.is_empty() {
            return Err(TextError::EmptyConversation);
        }
        let name = options.template_name.as_deref().unwrap_or("default");
        let source = self
            .sources
            .get(name)
            .ok_or_else(|| TextError::UnknownTemplate { name: name.to_string(), available: self.names().join(", ") })?;
        let context = self.context(messages, options);
        let meter = Arc::new(Meter::new());
        let failed = |reason: String| TextError::TemplateFailed { name: name.to_string(), reason };
        let rendered = thread::scope(|scope| {
            thread::Builder::new()
                .name("chat template".into())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || run(source, name, context, options, &meter))
                .map_err(|error| failed(format!("no thread to run it on: {error}")))?
                .join()
                .map_err(|_| failed("the template engine panicked".into()))
        })?;
        rendered.map_err(|error| explain(name, &error, &meter))
    }

    /// The variables of a template, the later winning: special tokens, what transformers always passes, the caller's.
    fn context(&self, messages: &[Message], options: &RenderOptions) -> Value {
        let mut variables: BTreeMap<&str, Value> =
            self.special.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str()))).collect();
        variables.insert("messages", Value::from(Serde(messages)));
        variables.insert("tools", Value::from(()));
        variables.insert("documents", Value::from(()));
        variables.insert("add_generation_prompt", Value::from(options.add_generation_prompt));
        if let Some(thinking) = options.enable_thinking {
            variables.insert("enable_thinking", Value::from(thinking));
        }
        for (name, value) in &options.variables {
            variables.insert(name, Value::from(Serde(value)));
        }
        Value::from_pairs(variables)
    }
}

/// Parses, guards, compiles and runs a template.
fn run(source: &str, name: &str, context: Value, options: &RenderOptions, meter: &Arc<Meter>) -> Result<String, Error> {
    if source.len() > SOURCE_LIMIT {
        return Err(meter.stop(format!("it has {} bytes, at most {SOURCE_LIMIT} are read", source.len())));
    }
    let source = dialect::translate(source, meter)?;
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    let parsed = machinery::parse(&source, name, syntax)?;
    let guarded = guard::guard(&parsed)?;
    let mut generator = CodeGenerator::new(name, &source);
    generator.compile_stmt(&guarded);
    let (instructions, blocks) = generator.finish();
    let mut environment = environment::environment(meter, options);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    let mut text = String::new();
    machinery::eval(
        &environment,
        &instructions,
        context,
        &blocks,
        &mut make_string_output(&mut text),
        AutoEscape::None,
    )?;
    Ok(text)
}

/// The error of a template in our words: a limit, its own refusal, or a failure with the line.
fn explain(name: &str, error: &Error, meter: &Meter) -> TextError {
    let name = name.to_string();
    if let Some(message) = meter.refusal() {
        return TextError::TemplateRefused { name, message };
    }
    if let Some(limit) = meter.stopped() {
        return TextError::TemplateLimit { name, limit };
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::OutOfFuel) {
            return TextError::TemplateLimit { name, limit: format!("it ran more than {FUEL} instructions") };
        }
        // There is no kind of its own for it.
        if error.to_string().contains("recursion limit exceeded") {
            return TextError::TemplateLimit {
                name,
                limit: format!("its macros and loops nest more than {RECURSION_LIMIT} deep"),
            };
        }
        cause = error.source();
    }
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        reason.push_str(&format!(": {error}"));
        source = error.source();
    }
    TextError::TemplateFailed { name, reason }
}
