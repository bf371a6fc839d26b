//! Chat templates of real models against what transformers makes of them (`goldens/make.py`).

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use neuro_text::{Message, RenderOptions, Text};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Document {
    now: String,
    special: Value,
    conversations: BTreeMap<String, Vec<Message>>,
    goldens: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    template: String,
    conversation: String,
    options: Options,
    text: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Options {
    add_generation_prompt: bool,
    enable_thinking: Option<bool>,
}

/// Renders every golden; gives the number of cases and a line for each that differs.
fn compare(document: &Document, templates: &Path) -> (usize, Vec<String>) {
    let mut texts: BTreeMap<&str, Text> = BTreeMap::new();
    let mut different = Vec::new();
    for golden in &document.goldens {
        let text = texts.entry(&golden.template).or_insert_with(|| {
            let source = fs::read_to_string(templates.join(&golden.template)).unwrap();
            support::with_templates(&document.special, BTreeMap::from([("default".to_string(), source)]))
        });
        let options = RenderOptions {
            add_generation_prompt: golden.options.add_generation_prompt,
            enable_thinking: golden.options.enable_thinking,
            now: Some(document.now.parse().unwrap()),
            ..RenderOptions::default()
        };
        let rendered = text.render(&document.conversations[&golden.conversation], &options);
        let difference = match (&rendered, &golden.text, &golden.error) {
            (Ok(ours), Some(theirs), _) if ours == theirs => continue,
            (Err(_), None, Some(_)) => continue,
            (Ok(ours), Some(theirs), _) => format!("ours   {ours:?}\ntheirs {theirs:?}"),
            (ours, text, error) => format!("ours   {ours:?}\ntheirs {text:?}, raised {error:?}"),
        };
        different.push(format!(
            "{} · {} · prompt {} · thinking {:?}\n{difference}",
            golden.template, golden.conversation, golden.options.add_generation_prompt, golden.options.enable_thinking
        ));
    }
    (document.goldens.len(), different)
}

#[test]
fn real_templates_render_as_in_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let document: Document = serde_json::from_slice(&fs::read(folder.join("goldens.json")).unwrap()).unwrap();
    let (cases, different) = compare(&document, &folder.join("templates"));
    assert!(cases >= 200, "only {cases} goldens");
    assert!(different.is_empty(), "{} of {cases} differ:\n{}", different.len(), different.join("\n\n"));
}

/// `NEURO_TEMPLATE_GOLDENS` names the output of `make.py --all`; without it the templates are only rendered.
#[test]
fn every_template_at_hand_renders_or_says_why_not() {
    let Some(templates) = support::shared("templates") else { return };
    if let Some(goldens) = std::env::var_os("NEURO_TEMPLATE_GOLDENS") {
        let document: Document = serde_json::from_slice(&fs::read(goldens).unwrap()).unwrap();
        let (cases, different) = compare(&document, &templates);
        assert!(different.is_empty(), "{} of {cases} differ:\n{}", different.len(), different.join("\n\n"));
    }
    let mut rendered = 0;
    for entry in fs::read_dir(templates).unwrap() {
        let text = support::with_template(&fs::read_to_string(entry.unwrap().path()).unwrap());
        let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
        match text.render(&[Message::user("What is 7 times 8?")], &options) {
            Ok(prompt) => {
                assert!(prompt.contains("What is 7 times 8?"), "{prompt}");
                rendered += 1;
            }
            Err(error) => println!("{error}"),
        }
    }
    assert!(rendered >= 60, "only {rendered} templates render");
}
