use std::process::Stdio;

use crate::support::{Place, assert_output, fixture, phantom_run};

#[test]
fn the_phantoms_planted_block_is_found() {
    let place = phantom_run();
    let document = place.json(&["scan", "--questions", "64", "--out", "run", "--json"]);
    assert_eq!(document["schema"], 1);
    assert_eq!(document["complete"], true);
    assert_eq!(document["planted"]["block"], serde_json::json!([4, 8]));
    assert_eq!(document["planted"]["found"], true);
    assert_eq!(document["rows"].as_array().map(Vec::len), Some(79));
    let best: Vec<_> = document["best"].as_array().expect("a list").iter().map(|best| &best["block"]).collect();
    assert!(best.contains(&&serde_json::json!([4, 8])), "{best:?}");
    for file in document["files"].as_array().expect("a list") {
        assert!(place.path().join("run").join(file.as_str().expect("a name")).is_file(), "{file}");
    }
}

#[test]
fn the_output_is_map_headline_table_and_verdict() {
    assert_output!(phantom_run().run(&["scan", "--questions", "64", "--out", "run"]), @r"
    exit code: 0
    ----- stdout -----
    phantom  12 layers · 647,360 parameters · 79 of 79 rows

    probe phantom, group 2, 16 questions

    i\j     0    1    2    3    4    5    6    7    8    9   10   11   12  S(i)
    E(j)         0    0    0    0    0    0   43   78   43    3    0    0

      0   base   0?   0?   0?   0?   0?   0?  44  100   69    6?   0?   0?   18
      1               0?   0?   0?   0?   0?  38  100   63    6?   0?   0?   19
      2                    0?   0?   0?   0?  44  100   69    6?   0?   0?   22
      3                         0?   0?   0?  75  100   81    6?   0?   0?   29
      4                              0?   0? 100* 100   94    6?   0?   0?   38
      5                                   0?   0? 100   13?   0?   0?   0?   16
      6                                        0?  25    0?   0?   0?   0?    4
      7                                             0?   0?   0?   0?   0?    0
      8                                                  0?   0?   0?   0?    0
      9                                                       0?   0?   0?    0
     10                                                            0?   0?    0
     11                                                                 0?    0

         delta in hundredths, -1.00… to +1.00…
          base  baseline (0, 0), score 0.00…
          100*  best (4, 7): +1.00… [+0.61…, +1.00…]
           50?  interval includes 0

    Best block (4, 7): +1.00… [+0.61…, +1.00…] on 16 questions. A candidate, not a confirmed gain: it is
    the best of 78 blocks on the questions that chose it. If no block did anything, the best of 78 would
    still show +0.17… on average, and more than +0.43… in one scan of twenty. Corrected for all blocks,
    the best one has p = 0.00…. Next: `neuro confirm RUN` asks fresh questions and decides.

     #  block    delta  interval          score  overhead  path
     1  (4, 7)  +1.00…  [+0.61…, +1.00…]  1.00…   +25.0 %  0..6,4..11
     2  (5, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +25.0 %  0..7,5..11
     3  (4, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +33.3 %  0..7,4..11
     4  (3, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +41.7 %  0..7,3..11
     5  (2, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +50.0 %  0..7,2..11
     6  (1, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +58.3 %  0..7,1..11
     7  (0, 8)  +1.00…  [+0.61…, +1.00…]  1.00…   +66.7 %  0..7,0..11
     8  (4, 9)  +0.93…  [+0.56…, +0.98…]  0.93…   +41.7 %  0..8,4..11
     9  (3, 9)  +0.81…  [+0.46…, +0.93…]  0.81…   +50.0 %  0..8,3..11
    10  (3, 7)  +0.75…  [+0.41…, +0.89…]  0.75…   +33.3 %  0..6,3..11

    Planted block (4, 8): found. The best block (4, 7) shares 3 layers with it.
    ----- stderr -----
    resuming: 79 of 79 rows are there

    written to run: report.html, map-phantom-2.svg, map-phantom-2.png, map-phantom-2-null.svg, map-phantom.svg, map-phantom.png, map-phantom-null.svg
    hint: try the best block: neuro ask phantom --path 0..6,4..11 'sol 2 latin ='
    hint: look again: neuro show run
    ");
}

#[test]
fn json_has_one_shape() {
    let document = phantom_run().json(&["scan", "--questions", "64", "--out", "run", "--json"]);
    let keys = |value: &serde_json::Value| {
        value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(" "))
    };
    insta::assert_snapshot!(keys(&document).unwrap_or_default(), @"schema tool model run complete probe group questions screened baseline best headline verdict chance compute type_effect type_effect_missing planted maps rows files generated");
    insta::assert_snapshot!(keys(&document["best"][0]).unwrap_or_default(), @"block path score delta interval corrected_p corrected_for overhead");
    insta::assert_snapshot!(keys(&document["maps"][0]).unwrap_or_default(), @"probe group questions screened baseline best chance");
}

#[test]
fn a_complete_run_is_not_measured_again() {
    let place = phantom_run();
    let rows = || std::fs::read(place.path().join("run").join("rows.jsonl")).expect("rows");
    let before = rows();
    assert!(place.output(&["scan", "--questions", "64", "--out", "run"]).status.success());
    assert_eq!(before, rows());
}

#[test]
fn other_settings_in_the_same_folder_are_refused() {
    assert_output!(phantom_run().run(&["scan", "--questions", "32", "--seed", "5", "--out", "run"]), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: run holds a run of other settings:
      probes.0.hash: found "[hash]", expected "[hash]"
      probes.0.id: found "phantom v1 world=1 count=64 role=search seed=0", expected "phantom v1 world=1 count=32 role=search seed=5"
      probes.0.questions: found 64, expected 32
      seed: found 0, expected 5
    choose another --out, or repeat the flags of that run
    "#);
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    assert_output!(place.run(&["scan", "--questions", "64", "--dry-run", "--memory", "2GiB"]), @r"
    exit code: 0
    ----- stdout -----
    model         phantom, 12 layers, [size] of weights as f32, in memory
    paths         79
    probe         phantom: 64 questions, 256 tokens, of them 242 distinct
                  1 chunk of questions × 11 groups of paths
    layer-tokens  160204, and at most 83968 for decoding
    reads         [size] of weights in 11 walks over the layers
    memory        [size] of 2.0 GiB
    time          about [time]
    ----- stderr -----
    ");
    assert!(!place.path().join("runs").exists());
    let document = place.json(&["scan", "--questions", "64", "--dry-run", "--json"]);
    assert_eq!(document["schema"], 1);
    assert_eq!(document["paths"], 79);
    assert!(document["estimated_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
}

#[test]
fn the_memory_that_a_refusal_asks_for_is_enough() {
    let place = Place::new();
    let dry = |memory: &str| place.run(&["scan", "--questions", "64", "--dry-run", "--memory", memory]);
    let refused = dry("1MiB");
    assert!(refused.contains("needs more memory than the budget of 1.0 MiB: "), "{refused}");
    let least = refused.split("give at least --memory ").nth(1).and_then(|text| text.split_whitespace().next());
    let planned = dry(least.expect("a size"));
    assert!(planned.contains("exit code: 0") && planned.contains("\nmemory  "), "{planned}");
}

#[test]
fn a_screening_ranks_who_saw_every_question() {
    let place = Place::new();
    let arguments = ["scan", "--screen", "--questions", "96", "--out", "run"];
    let document = place.json(&[&arguments[..], &["--json"]].concat());
    assert_eq!(document["complete"], true);
    assert_eq!((&document["planted"]["found"], &document["questions"]), (&true.into(), &24.into()));
    let rows = document["rows"].as_array().expect("rows");
    let (dropped, finalists): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["screened"].is_object());
    assert_eq!(document["screened"]["dropped"], dropped.len());
    assert!(finalists.iter().all(|row| row["n"] == 96) && dropped.len() > 50, "{} dropped", dropped.len());
    for row in dropped {
        assert_eq!((&row["screened"]["seen"], &row["screened"]["of"]), (&row["n"], &96.into()));
    }
    for best in document["best"].as_array().expect("a list") {
        assert!(finalists.iter().any(|row| row["path"] == best["path"]), "{best}");
    }
    let text = place.run(&arguments);
    assert!(text.contains("finalists of 78 screened blocks"), "{text}");
    assert!(text.contains(" of 79 paths saw all 96 questions, the others "), "{text}");
    let text = place.run(&["scan", "--questions", "96", "--out", "run"]);
    assert!(text.contains("screen: found {") && text.contains("expected none"), "{text}");
}

#[test]
fn a_dry_screening_says_its_stages() {
    assert_output!(Place::new().run(&["scan", "--screen", "--questions", "96", "--memory", "2GiB", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    model         phantom, 12 layers, [size] of weights as f32, in memory
    paths         79
    probe         phantom: 96 questions, 384 tokens, of them 354 distinct
                  stages end at 3, 12, 36, 96 questions, each with fewer paths
    layer-tokens  234348, and at most 125952 for decoding
    screened      at most 72060 layer-tokens of these
    memory        at most 2.0 GiB
    time          about [time]
    ----- stderr -----
    ");
    let unknown = Place::new().json(&["scan", "--screen", "--questions", "96", "--dry-run", "--json"]);
    for field in ["weights_bytes_read", "decoded_weights_bytes_read_at_most", "memory_needed_bytes"] {
        assert_eq!(unknown.get(field), Some(&serde_json::Value::Null), "{field}");
    }
    for field in ["chunks", "groups", "sweeps"] {
        assert_eq!(unknown["probes"][0].get(field), Some(&serde_json::Value::Null), "{field}");
    }
    assert_output!(Place::new().run(&["scan", "--screen", "--questions", "8"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: probe `phantom`: 8 questions are too few to screen 79 paths: a first look at all of them and all questions for the best 0.1 of them take 0.34 of the full scan, expected at most 0.20; ask more questions, or scan without screening
    hint: `--questions 64` is usually enough; of few layers the best blocks are a large part: give `--screen=PART` what they take
    ");
    assert_eq!(Place::new().output(&["scan", "--screen=1.5"]).status.code(), Some(2));
}

#[test]
fn a_model_without_a_tokenizer_cannot_be_asked() {
    assert_output!(Place::new().run(&["scan", &fixture().display().to_string()]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: model llama-default has no tokenizer, so it cannot be asked questions; put its tokenizer.json into the folder
    ");
}

#[test]
fn a_foreign_phantom_is_refused_before_it_is_scanned() {
    let place = Place::new();
    let folder = place.path().join("strange");
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms/phantom");
    std::fs::create_dir(&folder).expect("a folder");
    for file in std::fs::read_dir(shipped).expect("the shipped phantom") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), folder.join(file.file_name())).expect("a copy");
    }
    let card = folder.join("phantom.json");
    let mut written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&card).expect("a card")).expect("a document");
    written["planted"]["block"] = serde_json::json!([4, 13]);
    std::fs::write(&card, written.to_string()).expect("a card");
    assert_output!(place.run(&["scan", "strange"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: phantom.json of model strange, key planted.block: the block (4, 13) is impossible: the model has 12 layers, so j is at most 12; layers i to j-1 run once more
    hint: `neuro doctor MODEL` describes the model's layers
    ");
    std::fs::write(&card, " ".repeat((64 << 10) + 1)).expect("a card");
    assert_output!(place.run(&["scan", "strange"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: strange/phantom.json has more than 65536 bytes, so it describes no phantom
    hint: restore the file, or remove it to scan the model as any other
    ");
    assert!(!place.path().join("runs").exists());
}

#[test]
fn an_unknown_probe_is_refused() {
    assert_output!(Place::new().run(&["scan", "--probe", "iq"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'iq' for '--probe <NAME[=FILE]>': the probes are math, math:likelihood, eq, eq:likelihood, reason, reason:likelihood, recall, recall:likelihood, follow, follow:likelihood, text, text:likelihood, sane, phantom, phantom:likelihood, and of files task=FILE, rys-math=FILE, rys-eq=FILE, eqbench=FILE, bbh=FILE, bbh-cot=FILE, gsm8k=FILE, gsm8k-5shot=FILE, gsm8k-cot=FILE, math500=FILE, ifeval=FILE, arc-easy=FILE, arc-challenge=FILE, piqa=FILE, winogrande=FILE, boolq=FILE, lambada=FILE

    For more information, try '--help'.
    ");
}

#[test]
fn nothing_is_planted_in_random_weights() {
    let place = Place::new();
    let arguments = ["scan", "phantom", "--random-weights", "1", "--questions", "8", "--out", "run"];
    let document = place.json(&[&arguments[..], &["--json"]].concat());
    assert_eq!(document["planted"], serde_json::Value::Null);
    let text = place.run(&arguments);
    assert!(!text.contains("Planted"), "{text}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_the_same_command_resumes() {
    let place = Place::new();
    let arguments = ["scan", "--questions", "256", "--out", "run"];
    let mut command = place.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let rows = place.path().join("run").join("rows.jsonl");
    // The run has begun when its first row is on disk.
    while std::fs::metadata(&rows).map_or(0, |file| file.len()) == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "the scan ended before its first row");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().expect("the binary ends");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{talk}");
    assert!(output.stdout.is_empty());
    assert!(talk.contains("scan --questions 256 --out run"), "{talk}");

    let measured = std::fs::read(&rows).expect("rows");
    let shown = place.json(&["show", "run", "--json"]);
    assert_eq!(shown["complete"], false);
    assert!(place.output(&arguments).status.success());
    let complete = std::fs::read(&rows).expect("rows");
    assert!(complete.starts_with(&measured), "rows that were there stay");
    assert_eq!(complete.iter().filter(|byte| **byte == b'\n').count(), 79);
}

#[test]
fn answers_that_cannot_be_read_are_told() {
    let place = Place::new();
    let model = spelling_model(&place);
    let scan = ["scan", model, "--random-weights", "3", "--probe", "math", "--questions", "2", "--out", "run"];
    let output = place.output(&scan);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("warning: baseline: of 2 answers 2 could not be read"), "{text}");
    assert!(text.contains("no answer could be read on any path"), "{text}");
}

/// The text as if its lines had no end.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A folder with a model of two layers whose tokens are single characters; with random weights it answers with noise.
pub(crate) fn spelling_model(place: &Place) -> &'static str {
    let folder = place.path().join("speller");
    std::fs::create_dir(&folder).expect("a folder");
    let write = |name: &str, value: &serde_json::Value| {
        std::fs::write(folder.join(name), value.to_string()).expect("a file");
    };
    let known: Vec<String> =
        std::iter::once("<eos>".to_owned()).chain(('\n'..='\n').chain(' '..='~').map(String::from)).collect();
    let vocab: serde_json::Map<String, serde_json::Value> =
        known.iter().zip(0..).map(|(token, id)| (token.clone(), serde_json::json!(id))).collect();
    write(
        "config.json",
        &serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": known.len(),
            "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
            "initializer_range": 0.02, "eos_token_id": 0, "bos_token_id": null,
        }),
    );
    write(
        "tokenizer.json",
        &serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false},
            "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<eos>"},
        }),
    );
    "speller"
}

#[test]
fn the_effect_of_the_weights_type_is_shown() {
    let place = Place::new();
    let model = spelling_model(&place);
    let flags = ["--random-weights", "3", "--quantize", "q8_0", "--questions", "4"];
    let scan = [&["scan", model, "--out", "run"][..], &flags].concat();
    let begins = "Q8_0 against f32 on math:likelihood, baseline: score 0.";
    let page = |run: &str| std::fs::read_to_string(place.path().join(run).join("report.html")).expect("a page");
    for text in [place.run(&scan), place.run(&["show", "run"])] {
        assert!(unwrapped(&text).contains(begins) && unwrapped(&text).contains(" on 4 questions "), "{text}");
    }
    assert!(page("run").contains(&format!("<dt>effect of the weights' type</dt><dd>{begins}").replace('\'', "&#39;")));
    let document = place.json(&[&scan[..], &["--json"]].concat());
    assert_eq!(document["type_effect"][0]["questions"], 4);
    assert_eq!(document["type_effect_missing"], serde_json::json!([]));

    let probe = [&["probe", model, "--path", "(0,1)"][..], &flags].concat();
    assert_output!(place.run(&probe), @r"
    exit code: 0
    ----- stdout -----
    probe            path    score   delta  interval  n  unparsed  cut off  overhead
    math:likelihood  0..1    0.01…       -         -  4         0        0    +0.0 %
    math:likelihood  0,0..1  0.01…  -0.00…         -  4         0        0   +50.0 %
    groups of 0..1: cube root 0.01… (1), product 0.01… (1), quotient 0.01… (1), square root 0.01… (1)
    groups of 0,0..1: cube root 0.01… (1), product 0.01… (1), quotient 0.01… (1), square root 0.01… (1)
    Q8_0 against f32 on math:likelihood, baseline: score 0.01…, was 0.01…; -0.00… on 4 questions
    ----- stderr -----
    reading the weights
    reading [size] of weights in f32
    measuring what Q8_0 does to the score: the baseline once more in f32, on 4 questions of math:likelihood
    ");
    let document = place.json(&[&probe[..], &["--json"]].concat());
    assert_eq!((&document["compute"], &document["type_effect"][0]["questions"]), (&"Q8_0".into(), &4.into()));
    let whole = place.run(&["probe", model, "--random-weights", "3", "--questions", "4"]);
    assert!(!whole.contains("against f32"), "{whole}");
    assert_output!(place.run(&[&["scan", model, "--memory", "2GiB", "--dry-run"][..], &flags].concat()), @r"
    exit code: 0
    ----- stdout -----
    model         speller, 2 layers, [size] of weights as Q8_0, in memory
    paths         4
    probe         math:likelihood: 4 questions, 649 tokens, of them 275 distinct
                  1 chunk of questions × 2 groups of paths
    layer-tokens  1925
    reads         [size] of weights in 2 walks over the layers
    reference     the baseline once more in f32: 550 layer-tokens
                  [size] of weights in memory, once the run's own are let go
    memory        [size] of 2.0 GiB
    time          about [time]
    ----- stderr -----
    ");
}

/// The head is most of the model, so that there are budgets with room for it in Q8_0 and not in f32. That takes a kernel of our
/// own: for the tensor library's a head is read whole in f32 first, so that what has room for the run has room for its effect.
#[cfg(target_arch = "x86_64")]
#[test]
fn an_effect_without_room_is_named_with_its_reason() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let place = Place::new();
    let model = spelling_model(&place);
    let config = place.path().join(model).join("config.json");
    let written = std::fs::read(&config).expect("a file");
    let mut written: serde_json::Value = serde_json::from_slice(&written).expect("a document");
    (written["vocab_size"], written["hidden_size"]) = (150_000.into(), 64.into());
    std::fs::write(&config, written.to_string()).expect("a file");
    let scan = |memory: u64, more: &[&'static str]| {
        let memory = format!("{memory}MiB");
        let flags =
            ["scan", model, "--random-weights", "3", "--quantize", "q8_0", "--questions", "2", "--memory", &memory];
        place.output(&[&flags[..], more].concat())
    };
    let enough = (40..400).step_by(8).find(|&memory| scan(memory, &["--dry-run"]).status.success());
    let enough = enough.expect("a budget that holds the run");
    let dry = place.transcript(&scan(enough, &["--dry-run"]));
    assert!(dry.contains("reference     not measured on math:likelihood: the baseline in f32 needs "), "{dry}");
    let text = place.transcript(&scan(enough, &["--out", "run"]));
    let reason = "Q8_0 against f32 on math:likelihood, baseline: not measured; it needs ";
    let page = std::fs::read_to_string(place.path().join("run").join("report.html")).expect("a page");
    for text in [text, place.run(&["show", "run"]), page] {
        let text = unwrapped(&text);
        assert!(text.contains(reason) && text.contains(&format!("the memory budget was {enough}.0 MiB")), "{text}");
    }
    let missing = &place.json(&["show", "run", "--json"])["type_effect_missing"][0];
    assert_eq!((&missing["probe"], &missing["memory_bytes"]), (&"math:likelihood".into(), &(enough << 20).into()));
    assert!(missing["needed_bytes"].as_u64() > missing["memory_bytes"].as_u64(), "{missing}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_last_pass_leaves_a_drawn_run() {
    use std::io::{BufRead, BufReader, Read};
    let place = Place::new();
    let model = spelling_model(&place);
    let flags = ["--random-weights", "3", "--quantize", "q8_0", "--probe", "math", "--questions", "64", "--out", "run"];
    let scan = [&["scan", model][..], &flags].concat();
    let mut child =
        place.command(&scan).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("the baseline once more in f32") {
        line.clear();
        assert!(talk.read_line(&mut line).expect("text") > 0, "the scan ended before its last pass");
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let mut rest = String::new();
    talk.read_to_string(&mut rest).expect("text");
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert!(rest.contains("interrupted; nothing is lost"), "{rest}");
    let text = String::from_utf8(output.stdout).expect("text");
    let is_open = |text: &str| {
        let text = unwrapped(text);
        text.contains("baseline: not measured yet") || text.contains(" of 64 questions")
    };
    let page = std::fs::read_to_string(place.path().join("run").join("report.html")).expect("a page");
    assert!(is_open(&text) && is_open(&page), "{text}");
    let document = place.json(&[&scan[..], &["--json"]].concat());
    assert_eq!((&document["complete"], &document["type_effect"][0]["questions"]), (&true.into(), &64.into()));
}

#[test]
fn what_the_tokenizer_cannot_say_is_named() {
    assert_output!(Place::new().run(&["scan", "phantom", "--probe", "reason", "--questions", "2"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the model cannot be asked the probe `reason`: its tokenizer knows some characters or words of question `ordering 2 [hash]` as unknown only; ask another probe
    ");
}

#[test]
fn a_text_of_the_user_is_a_probe() {
    let place = Place::new();
    let model = spelling_model(&place);
    let text = "The harbor was quiet, and nobody came.\n".repeat(60);
    std::fs::write(place.path().join("own.txt"), text).expect("a file");
    let arguments = ["probe", model, "--random-weights", "3", "--text", "own.txt", "--questions", "all", "--json"];
    let document = place.json(&arguments);
    let row = &document["rows"][0];
    assert_eq!((row["probe"].as_str(), row["n"].as_u64()), (Some("text:likelihood"), Some(6)));
    // Of 96 tokens, one byte each, hardly any is preferred.
    let score = row["score"].as_f64().expect("a score");
    assert!((0.005..0.02).contains(&score), "{score}");
    assert_output!(place.run(&["probe", model, "--random-weights", "3", "--text", "none.txt"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: none.txt cannot be read: [system error]
    ");
    // As many as a role has of six windows that are nearly all alike.
    let refused = place.run(&["probe", model, "--random-weights", "3", "--text", "own.txt", "--questions", "64"]);
    assert!(refused.contains("error: the probe `text:likelihood` was asked for 64 questions, but has "), "{refused}");
}
