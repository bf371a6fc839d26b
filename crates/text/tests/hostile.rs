//! Templates that want to hang the program or eat its memory. The corpus also feeds the fuzz target for templates.

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use neuro_text::{Message, RenderOptions, TextError};

/// Generous for an unoptimised build on a busy machine; without the limits these would take hours.
const PATIENCE: Duration = Duration::from_secs(20);

fn render(template: &str) -> Result<String, TextError> {
    let conversation = [Message::system("Be brief."), Message::user("What is 7 times 8?"), Message::assistant("56")];
    let start = Instant::now();
    let rendered = support::with_template(template).render(&conversation, &RenderOptions::default());
    assert!(start.elapsed() < PATIENCE, "took {:?}: {template:.200}", start.elapsed());
    rendered
}

/// Every file of the corpus: those called `limit-*` must reach a limit, the others only must not crash.
#[test]
fn the_corpus_neither_hangs_nor_crashes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/template");
    let mut limited = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let template = fs::read_to_string(&path).unwrap();
        let rendered = render(&template);
        if path.file_name().unwrap().to_string_lossy().starts_with("limit-") {
            assert!(matches!(rendered, Err(TextError::TemplateLimit { .. })), "{}: {rendered:.300?}", path.display());
            limited += 1;
        }
    }
    assert!(limited >= 20, "only {limited} hostile templates in the corpus");
}

/// Too long to keep as files.
#[test]
fn endless_expressions_and_branches_are_refused_or_survived() {
    for template in [
        format!("{{{{ {}1 }}}}", "1~".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "1~".repeat(7_000)),
        format!("{{{{ a{} }}}}", ".a".repeat(7_500)),
        format!("{{{{ a{} }}}}", "|e".repeat(7_500)),
        format!("{{{{ {}a }}}}", "not ".repeat(4_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(8_000), "]".repeat(8_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(8_000), ")".repeat(8_000)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{%elif 0%}".repeat(26_000)),
        format!("{}{}", "{%if 1%}".repeat(12_000), "{%endif%}".repeat(12_000)),
        "{{1}}".repeat(52_000),
        "{".repeat(200_000),
        "a".repeat(1 << 20),
    ] {
        // Which of them is refused is not promised; that the test process is still alive afterwards is.
        let _ = render(&template);
    }
}

#[test]
fn an_ordinary_long_conversation_is_far_from_every_limit() {
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% if not loop.last and messages|length > 1 %}\
                    {{ '\\n' ~ loop.index0 }}{% endif %}{% endfor %}{{ messages[1:]|tojson|length }}";
    let conversation: Vec<Message> =
        (0..2_000).map(|turn| Message::user(format!("{turn} {}", "words and more ".repeat(60)))).collect();
    let text = support::with_template(template).render(&conversation, &RenderOptions::default()).unwrap();
    assert!(text.len() > 1_700_000, "{}", text.len());
}
