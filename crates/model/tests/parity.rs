//! Parity with `transformers` (`fixtures/README.md`), and with what llama.cpp writes on a trained model.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Golden, best, fixtures, max_difference};
use neuro_checkpoint::{Checkpoint, DecoderConfig};
use neuro_model::{Batch, Decoder, Device, State};
use neuro_path::LayerPath;

#[test]
fn every_fixture_and_path_matches_transformers() {
    let mut failures = Vec::new();
    for fixture in fixtures() {
        for golden in &fixture.golden {
            let difference = max_difference(&fixture.logits(&golden.path), &golden.logits);
            println!("{:30} {:12} {difference:.1e}", fixture.name, golden.path.to_string());
            if difference > fixture.tolerance {
                failures.push(format!("{}, path {}: largest difference {difference}", fixture.name, golden.path));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// `docs/reference/models.md` names every fixture and path with the difference that was measured. With `NEURO_WRITE_TABLE`
/// set it is written; without, it must name what there is, and no more than the tolerance.
#[test]
fn the_table_of_the_reference_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/models.md");
    let mut rows: BTreeMap<(String, String), String> = BTreeMap::new();
    for fixture in fixtures() {
        let of = |golden: &Golden| max_difference(&fixture.logits(&golden.path), &golden.logits);
        let paths: Vec<String> =
            fixture.golden[1..].iter().map(|golden| format!("`{}`: {:.0e}", golden.path, of(golden))).collect();
        let key = (fixture.decoder.config().model_type.clone(), fixture.name.clone());
        rows.insert(key, format!("{:.0e} | {}", of(&fixture.golden[0]), paths.join(", ")));
    }
    if std::env::var_os("NEURO_WRITE_TABLE").is_some() {
        let mut text = TABLE_HEAD.to_owned();
        for ((model_type, name), differences) in &rows {
            text.push_str(&format!("| `{model_type}` | `{name}` | {differences} |\n"));
        }
        std::fs::write(&file, text).unwrap();
    }
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let table: Vec<Vec<&str>> =
        text.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").collect()).collect();
    assert_eq!(table.len(), rows.len(), "write it anew: just parity");
    for (cells, ((model_type, name), _)) in table.iter().zip(&rows) {
        assert_eq!(cells[..2], [format!("| `{model_type}`"), format!("`{name}`")], "write it anew: just parity");
        let fixture = fixtures().iter().find(|fixture| fixture.name == *name).unwrap();
        for golden in &fixture.golden[1..] {
            assert!(cells[3].contains(&format!("`{}`: ", golden.path)), "{name}: write it anew: just parity");
        }
        let written = cells[3].trim_end_matches(" |").split(", ").filter_map(|path| path.rsplit_once(": "));
        for number in written.map(|(_, number)| number).chain([cells[2]]) {
            assert!(number.parse::<f32>().unwrap() <= fixture.tolerance, "{name}: {number}");
        }
    }
}

const TABLE_HEAD: &str = "# Models\n\n\
    Every architecture that can be read, by the `model_type` of its `config.json`, with what its tiny random checkpoints in\n\
    `fixtures/` show: the largest difference of any logit, of order 1, from transformers 5.23.0 (of `ouro` from its makers'\n\
    own code) on the same weights in f32, on the baseline and on the physically unrolled paths. `just parity` writes this page; the tests fail where a difference\n\
    is above 1e-4.\n\n\
    | model_type | fixture | baseline | paths |\n|---|---|---|---|\n";

/// A fixture that is lost, or a path that is not run, must not pass unseen.
#[test]
fn fixtures_cover_every_architecture() {
    let found: BTreeSet<&str> = fixtures().iter().map(|fixture| fixture.decoder.config().model_type.as_str()).collect();
    let known: BTreeSet<&str> = DecoderConfig::known_model_types().collect();
    assert_eq!(found, known);
    assert_eq!(fixtures().len(), 52);
    for fixture in fixtures() {
        assert!(fixture.golden[0].path.is_baseline(), "{}", fixture.name);
        assert!(
            fixture.golden[1..].iter().filter(|golden| !golden.path.is_baseline()).count() >= 2,
            "{}",
            fixture.name
        );
        assert!(fixture.tolerance <= 1e-4, "{}", fixture.name);
    }
}

/// llama.cpp continues "Once upon a time" on the same weights with ", there was a little girl named Lily. She loved to
/// play outside in the park. One day, she saw a big, red ball."; the two closest logits on the way are 0.05 apart.
#[test]
fn stories_are_told_as_elsewhere() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models/stories260K");
    if !dir.is_dir() {
        println!("skipped: {} is not here", dir.display());
        return;
    }
    let decoder = Decoder::load(&Checkpoint::open(&dir).unwrap(), &Device::Cpu).unwrap();
    let visits = LayerPath::baseline(decoder.config().num_layers()).unwrap().visits();
    // <s> ▁Once ▁upon ▁a ▁time
    let mut tokens: Vec<u32> = vec![1, 403, 407, 261, 378];
    let prompt = tokens.len();
    let expected = [
        432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411, 322,
        265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370, 432, 352, 266, 268, 388, 426,
    ];
    let mut state = State::new(visits.len());
    let mut past = 0;
    while tokens.len() < prompt + expected.len() {
        let len = tokens.len() - past;
        let batch = Batch::next(past, len, prompt + expected.len());
        let resid = decoder.embed_at(&tokens[past..], past..tokens.len()).unwrap();
        let resid = decoder.run(resid, &batch, &visits, &mut state.slots, &mut ()).unwrap();
        let logits = decoder.unembed(&resid.narrow(0, len - 1, 1).unwrap()).unwrap().to_vec2::<f32>().unwrap();
        past = tokens.len();
        tokens.push(best(&logits[0]) as u32);
    }
    assert_eq!(tokens[prompt..], expected);
}
