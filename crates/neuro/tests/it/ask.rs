use crate::scan::spelling_model;
use crate::support::{Place, assert_output, fixture};

#[test]
fn the_prompt_comes_as_argument_or_from_stdin() {
    let place = Place::new();
    let question = phantom_question();
    let argument = place.run(&["ask", "phantom", &question, "--max-tokens", "1"]);
    assert!(argument.starts_with("exit code: 0"), "{argument}");
    let arguments = ["ask", "phantom", "--max-tokens", "1"];
    assert_eq!(place.run_with_input(&arguments, &format!("{question}\n")), argument);
    assert_eq!(place.run_with_input(&["ask", "phantom", "-", "--max-tokens=1"], &question), argument);
}

#[test]
fn json_has_one_shape() {
    let arguments = ["ask", "phantom", &phantom_question(), "--path", "(4,8)", "--max-tokens", "1", "--json"];
    let document = Place::new().json(&arguments);
    assert_eq!(document["path"], "0..7,4..11");
    assert_eq!(document["prompt_tokens"], 4);
    assert_eq!(document["stop"], "length");
    assert_eq!(document["sampling"], "greedy");
    let keys = document.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(" "));
    insta::assert_snapshot!(keys.unwrap_or_default(), @"schema model path compute sampling prompt_tokens answer tokens stop");
}

/// The draw follows from the seed alone, and a cold draw is the likeliest token.
#[test]
fn answers_can_be_drawn() {
    let place = Place::new();
    let ask = |flags: &[&str]| {
        let question = phantom_question();
        let arguments = [&["ask", "phantom", &question, "--max-tokens", "6", "--json"][..], flags].concat();
        place.json(&arguments)
    };
    let greedy = ask(&[]);
    let hot = ["--temperature", "30", "--top-k", "0", "--seed"];
    let drawn = |seed: &str| ask(&[&hot[..], &[seed]].concat());
    assert_eq!(drawn("1")["tokens"], drawn("1")["tokens"]);
    assert!(["2", "3", "4"].iter().any(|seed| drawn(seed)["tokens"] != drawn("1")["tokens"]));
    assert_eq!(ask(&["--temperature", "0"])["tokens"], greedy["tokens"]);
    assert_eq!(ask(&["--sample", "--top-k", "1"])["tokens"], greedy["tokens"]);
    assert_eq!(drawn("1")["sampling"]["top_p"], 1.0);
}

/// What a model's settings ask for and drawing does not do is said.
#[test]
fn settings_that_are_not_applied_are_named() {
    let place = Place::new();
    let model = spelling_model(&place);
    let settings = r#"{"do_sample": true, "repetition_penalty": 1.25}"#;
    std::fs::write(place.path().join(model).join("generation_config.json"), settings).expect("a file");
    let ask = |flags: &[&str]| {
        let arguments = ["ask", model, "a", "--random-weights", "3", "--max-tokens", "1"];
        place.run(&[&arguments[..], flags].concat())
    };
    let warning = "warning: the model's settings ask for repetition_penalty 1.25, which is not applied";
    assert!(ask(&["--sample"]).contains(warning));
    assert!(!ask(&[]).contains("warning"));
}

/// The answers of quantised weights come from the same questions; the phantom is sure of its own.
#[test]
fn weights_can_be_quantised() {
    let place = Place::new();
    let question = phantom_question();
    let ask = |flags: &[&str]| {
        let arguments = ["ask", "phantom", &question, "--max-tokens", "1", "--json"];
        place.json(&[&arguments[..], flags].concat())
    };
    let quantised = ask(&["--quantize", "q8_0"]);
    assert_eq!((&quantised["compute"], &quantised["answer"]), (&"Q8_0".into(), &ask(&[])["answer"]));
    let refused = place.run(&["ask", "phantom", &question, "--quantize", "q5"]);
    assert!(refused.contains("expected one of f32, q8_0, q4_k"), "{refused}");
}

#[test]
fn what_cannot_be_asked() {
    let place = Place::new();
    assert_output!(place.run(&["ask", &fixture().display().to_string(), "hello"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: model llama-default has no tokenizer, so it cannot be asked questions; put its tokenizer.json into the folder
    ");
    assert_output!(place.run(&["ask", "phantom", ""]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the prompt is empty
    hint: neuro ask MODEL 'Once upon a time'
    ");
    assert_output!(place.run(&["ask", "phantom", "hello", "--system", "be kind"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: phantom has no chat template, so it has no place for --system
    hint: write the instruction into the prompt
    ");
}

/// A question of the phantom's own language: a concept, a number of hops, a script.
fn phantom_question() -> String {
    neuro_probe::phantom::PhantomQuestion::all().next().expect("there are questions").to_string()
}
