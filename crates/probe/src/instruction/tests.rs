//! Each kind on answers that follow it and answers that do not.

use serde_json::{Value, json};

use super::{Instruction, follow};

fn strict(id: &str, arguments: Value, answer: &str) -> bool {
    let instruction = Instruction::read(id, &arguments).unwrap();
    follow(&[instruction], answer).strict[0]
}

/// Kind, arguments, answers that follow, answers that do not.
fn cases() -> Vec<(&'static str, Value, Vec<&'static str>, Vec<&'static str>)> {
    vec![
        ("keywords:existence", json!({"keywords": ["tea", "sugar"]}), vec!["Sugar in TEA"], vec!["tea", ""]),
        (
            "keywords:frequency",
            json!({"keyword": "tea", "relation": "at least", "frequency": 2}),
            vec!["Tea, teapot"],
            vec!["tea"],
        ),
        ("keywords:forbidden_words", json!({"forbidden_words": ["tea"]}), vec!["teapot"], vec!["No Tea!"]),
        (
            "keywords:letter_frequency",
            json!({"letter": "E", "let_relation": "less than", "let_frequency": 3}),
            vec!["eEa"],
            vec!["eee"],
        ),
        (
            "language:response_language",
            json!({"language": "de"}),
            vec!["Das ist nicht der Tee."],
            vec!["This is the tea."],
        ),
        (
            "length_constraints:number_sentences",
            json!({"relation": "less than", "num_sentences": 3}),
            vec!["One. Mr. Smith."],
            vec!["One. Two. Three."],
        ),
        (
            "length_constraints:number_paragraphs",
            json!({"num_paragraphs": 2}),
            vec!["a ***\n b", "***a***b"],
            vec!["a", "a******b"],
        ),
        (
            "length_constraints:number_words",
            json!({"relation": "at least", "num_words": 3.0}),
            vec!["one-two three"],
            vec!["one two"],
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            json!({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"}),
            vec!["a\n\n\"Then, b"],
            vec!["a\n\nThence", "a\n\nb\n\nthen", "then"],
        ),
        (
            "detectable_content:number_placeholders",
            json!({"num_placeholders": 2}),
            vec!["[name] at [place]"],
            vec!["[name]"],
        ),
        ("detectable_content:postscript", json!({"postscript_marker": "P.S."}), vec!["a\nP. S. b"], vec!["PS b"]),
        ("detectable_content:postscript", json!({"postscript_marker": "P.P.S"}), vec!["a P.P.S b"], vec!["P.S. b"]),
        (
            "detectable_format:number_bullet_lists",
            json!({"num_bullets": 2}),
            vec!["* a\n- b", "*a\n * b"],
            vec!["* a", "**a**\n* b"],
        ),
        ("detectable_format:constrained_response", json!({}), vec!["Well. My answer is no."], vec!["no"]),
        (
            "detectable_format:number_highlighted_sections",
            json!({"num_highlights": 2}),
            vec!["*a* *b*", "**a** *b*"],
            vec!["*a* **", "a"],
        ),
        (
            "detectable_format:multiple_sections",
            json!({"section_spliter": "Part ", "num_sections": 2}),
            vec!["Part 1\na\nPart 2\nb"],
            vec!["Part 1\nb", "part 1 part 2"],
        ),
        (
            "detectable_format:json_format",
            json!({}),
            vec!["```json\n{\"a\": 1}\n```", "[1]"],
            vec!["{a: 1}", "Sure! {}"],
        ),
        ("detectable_format:title", json!({}), vec!["<<Tea>>\n"], vec!["<<>>", "<< >>", "<Tea>"]),
        ("combination:two_responses", json!({}), vec!["a\n******\nb"], vec!["a", "a******a", "a******b******c"]),
        (
            "combination:repeat_prompt",
            json!({"prompt_to_repeat": "Make tea. "}),
            vec![" make TEA. Sure!"],
            vec!["Sure! Make tea."],
        ),
        (
            "startend:end_checker",
            json!({"end_phrase": "That is all."}),
            vec!["Tea. \"that is ALL.\""],
            vec!["That is all. Bye"],
        ),
        ("startend:quotation", json!({}), vec!["\"Tea\"\n"], vec!["\"", "Tea", "\"Tea"]),
        (
            "change_case:capital_word_frequency",
            json!({"capital_relation": "at least", "capital_frequency": 2}),
            vec!["TEA, I say"],
            vec!["Tea I say"],
        ),
        ("change_case:english_capital", json!({}), vec!["THIS IS THE TEA"], vec!["THIS is THE TEA", "123"]),
        (
            "change_case:english_lowercase",
            json!({}),
            vec!["this is the tea"],
            vec!["This is the tea", "das ist nicht der tee"],
        ),
        ("punctuation:no_comma", json!({}), vec!["tea and sugar"], vec!["tea, sugar"]),
    ]
}

#[test]
fn every_kind_is_checked_both_ways() {
    let mut kinds = std::collections::BTreeSet::new();
    for (id, arguments, following, failing) in cases() {
        kinds.insert(id);
        for answer in following {
            assert!(strict(id, arguments.clone(), answer), "{id} is followed by {answer:?}");
        }
        for answer in failing {
            assert!(!strict(id, arguments.clone(), answer), "{id} is not followed by {answer:?}");
        }
    }
    assert_eq!(kinds.len(), 25);
}

#[test]
fn the_loose_check_forgives_a_greeting_a_farewell_and_markup() {
    let instruction = || Instruction::read("startend:quotation", &json!({})).unwrap();
    let check = |answer: &str| {
        let followed = follow(&[instruction()], answer);
        (followed.strict[0], followed.loose[0])
    };
    assert_eq!(check("\"tea\""), (true, true));
    assert_eq!(check("Sure!\n\"tea\""), (false, true));
    assert_eq!(check("Sure!\n\"tea\"\nBye"), (false, true));
    assert_eq!(check("*\"tea\"*"), (false, true));
    assert_eq!(check("Sure! \"tea\""), (false, false));
    assert_eq!(check(""), (false, false));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (id, arguments, reason) in [
        ("punctuation:no_semicolon", json!({}), "there is no instruction `punctuation:no_semicolon`"),
        ("keywords:frequency", json!({"keyword": "a", "relation": "at least"}), "lacks its argument `frequency`"),
        ("keywords:frequency", json!({"keyword": "a", "relation": "exactly", "frequency": 1}), "expected `less than`"),
        ("keywords:existence", json!({"keywords": []}), "is [], expected a list of texts"),
        ("keywords:existence", json!({"keywords": ["("]}), "expected regular expressions"),
        (
            "length_constraints:number_words",
            json!({"relation": "at least", "num_words": -1}),
            "is -1, expected a whole number",
        ),
        (
            "keywords:letter_frequency",
            json!({"letter": "ab", "let_relation": "at least", "let_frequency": 1}),
            "expected one letter",
        ),
    ] {
        let refusal = Instruction::read(id, &arguments).err().unwrap_or_default();
        assert!(refusal.contains(reason), "{id}: {refusal}");
    }
}

/// The flags that differ from the official ones of a file of published samples, as instruction, measure and prompt, and how
/// many flags there are; none where the file is not at hand.
fn differing_flags(file: &str) -> Option<(Vec<String>, usize)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/results/").to_owned() + file;
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: there is no {path}");
        return None;
    };
    let (mut differing, mut flags) = (Vec::new(), 0);
    for line in text.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let ids = sample["doc"]["instruction_id_list"].as_array().unwrap();
        let pairs = ids.iter().zip(sample["doc"]["kwargs"].as_array().unwrap());
        let read = |(id, arguments): (&Value, &Value)| Instruction::read(id.as_str().unwrap(), arguments).unwrap();
        let instructions: Vec<Instruction> = pairs.map(read).collect();
        let followed = follow(&instructions, sample["resps"][0][0].as_str().unwrap());
        for (measure, ours) in [("inst_level_strict_acc", followed.strict), ("inst_level_loose_acc", followed.loose)] {
            let official: Vec<bool> = serde_json::from_value(sample[measure].clone()).unwrap();
            for (place, id) in ids.iter().enumerate() {
                flags += 1;
                if official[place] != ours[place] {
                    differing.push(format!("{} {measure} {}", id.as_str().unwrap(), sample["doc"]["key"]));
                }
            }
        }
    }
    Some((differing, flags))
}

/// The 1,082 answers that llm-circuit-finder has published, with the flags that lm-evaluation-harness gave them. What
/// differs rests on langdetect, which guesses at lists of names, at two languages in one text, and differently each time.
#[test]
fn official_flags_are_met_but_for_guesses_at_languages() {
    let base = [
        "language:response_language inst_level_loose_acc 2299",
        "change_case:english_capital inst_level_loose_acc 3456",
    ];
    let surgery = [
        "change_case:english_lowercase inst_level_strict_acc 1843",
        "change_case:english_lowercase inst_level_loose_acc 1843",
        "language:response_language inst_level_strict_acc 3311",
        "change_case:english_capital inst_level_loose_acc 3456",
    ];
    for (file, known) in
        [("samples_ifeval_base.jsonl", base.as_slice()), ("samples_ifeval_surgery.jsonl", surgery.as_slice())]
    {
        if let Some((mut differing, flags)) = differing_flags(file) {
            assert_eq!(flags, 2 * 834);
            differing.sort();
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(differing, known);
        }
    }
}
