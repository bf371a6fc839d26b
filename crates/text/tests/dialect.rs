//! Jinja as transformers speaks it, one feature at a time (`goldens/make_dialect.py`), and the variables of a template.

mod support;

use std::fs;
use std::path::Path;

use neuro_text::{Message, RenderOptions, TextError};
use serde_json::Value;

#[test]
fn each_feature_renders_as_in_transformers() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/dialect.json");
    let goldens: Vec<Value> = serde_json::from_slice(&fs::read(goldens).unwrap()).unwrap();
    let conversation = [Message::system("Be brief."), Message::user("Hello")];
    let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
    let mut different = Vec::new();
    for golden in &goldens {
        let template = golden["template"].as_str().unwrap();
        let ours = support::with_template(template).render(&conversation, &options);
        if ours.as_deref().ok() != golden["text"].as_str() {
            different.push(format!("{template}\nours   {ours:?}\ntheirs {}", golden["text"]));
        }
    }
    assert!(goldens.len() >= 20 && different.is_empty(), "{}", different.join("\n\n"));
}

fn render(template: &str, options: &RenderOptions) -> Result<String, TextError> {
    support::with_template(template).render(&[Message::user("Hello")], options)
}

#[test]
fn options_reach_the_template() {
    let options = RenderOptions {
        enable_thinking: Some(false),
        variables: serde_json::from_str(r#"{"effort": "low", "bos_token": "<b>"}"#).unwrap(),
        now: Some("2025-03-07T09:05:02".parse().unwrap()),
        ..RenderOptions::default()
    };
    let template = "{{ enable_thinking }} {{ effort }} {{ bos_token }} {{ eos_token }} {{ strftime_now('%d %B %Y') }}";
    assert_eq!(render(template, &options).unwrap(), "False low <b> </s> 07 March 2025");
    assert!(support::with_template(template).reads_clock());
    assert!(!support::with_template("{{ messages }}").reads_clock());
}

#[test]
fn refusals_and_failures_are_told_apart() {
    let options = RenderOptions::default();
    let refused = render("{{ raise_exception('roles must alternate') }}", &options);
    assert!(
        matches!(&refused, Err(TextError::TemplateRefused { message, .. }) if message == "roles must alternate"),
        "{refused:?}"
    );
    let failed = render("{% for %}", &options);
    assert!(matches!(&failed, Err(TextError::TemplateFailed { .. })), "{failed:?}");
    let failed = render("\n\n{{ none + 1 }}", &options).unwrap_err().to_string();
    assert!(failed.contains("default:3"), "{failed}");
    let empty = support::with_template("x").render(&[], &options);
    assert!(matches!(empty, Err(TextError::EmptyConversation)), "{empty:?}");
}
