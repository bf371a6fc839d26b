//! The attack files of `fuzz/attacks`, and what a user is told about each: whole messages, kept in a snapshot.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use neuro_checkpoint::{Checkpoint, CheckpointError};
use neuro_text::{Message, RenderOptions, Text, TextError};

/// Generous for an unoptimised build on a busy machine; what none of these may do is hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn attacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/attacks")
}

/// Everything that a scan would do with a model before it runs it.
fn use_it(place: &Path) -> Result<(), String> {
    let checkpoint = Checkpoint::open(place).map_err(|error| error.to_string())?;
    for (name, shape) in checkpoint.config.expected_tensors() {
        checkpoint.weights.read_f32(&name, &shape).map_err(|error: CheckpointError| error.to_string())?;
    }
    let describe = |error: TextError| error.to_string();
    let Some(text) = Text::open(place).map_err(describe)? else { return Ok(()) };
    let ids = text.encode("aaaa", true).map_err(describe)?;
    text.decode(&ids, false).map_err(describe)?;
    if text.has_template() {
        text.render(&[Message::user("a")], &RenderOptions::default()).map_err(describe)?;
    }
    Ok(())
}

/// The message without the machine's own paths.
fn told(place: &Path, root: &Path) -> String {
    let started = Instant::now();
    let told = match use_it(place) {
        Ok(()) => "ACCEPTED".to_owned(),
        Err(message) => message,
    };
    assert!(started.elapsed() < PATIENCE, "{}: {:?}", place.display(), started.elapsed());
    let told = told.replace(&format!("{}{}", root.display(), std::path::MAIN_SEPARATOR), "").replace('\\', "/");
    told.replace(&root.display().to_string(), "FOLDER")
}

#[test]
fn every_attack_is_refused_with_a_reason() {
    let root = attacks();
    let mut places: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("the attacks are in the repository")
        .map(|entry| entry.expect("lists").path())
        .collect();
    places.retain(|place| place.extension().is_none_or(|ending| ending != "py"));
    places.sort();
    assert!(places.len() >= 25, "{} attacks", places.len());
    let mut table = String::new();
    for place in &places {
        let name = place.file_name().expect("has a name").to_string_lossy();
        let told = told(place, &root);
        assert_ne!(told, "ACCEPTED", "{name}");
        writeln!(table, "{name}\n    {told}").expect("writes to a string");
    }
    insta::assert_snapshot!(table);
}

/// A cache of downloads is made of links; what they lead to is read only as what it should be, and told apart from nothing.
#[cfg(unix)]
#[test]
fn links_lead_nowhere_else() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().expect("a folder for the test");
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "root:x:0:0:the secret").expect("writes");
    let valid = attacks().join("config-unknown-key");
    let mut table = String::new();
    for (name, file, target) in [
        ("weights that are another file", "model.safetensors", secret.clone()),
        ("a config that is another file", "config.json", secret.clone()),
        ("weights that are themselves", "model.safetensors", PathBuf::from("model.safetensors")),
        ("weights without end", "model.safetensors", PathBuf::from("/dev/zero")),
        ("a config without end", "config.json", PathBuf::from("/dev/zero")),
        ("a config that is a folder", "config.json", outside.path().to_owned()),
        ("a tokenizer without end", "tokenizer.json", PathBuf::from("/dev/zero")),
        ("a tokenizer that is another file", "tokenizer.json", secret.clone()),
        ("a template that is another file", "chat_template.jinja", secret),
    ] {
        let place = tempfile::tempdir().expect("a folder for the test");
        let config = std::fs::read_to_string(valid.join("config.json")).expect("reads");
        let config = config.replace("residual_rotation", "dropout");
        std::fs::write(place.path().join("config.json"), config).expect("writes");
        std::fs::copy(valid.join("model.safetensors"), place.path().join("model.safetensors")).expect("copies");
        let _ = std::fs::remove_file(place.path().join(file));
        symlink(target, place.path().join(file)).expect("links");
        let told = told(place.path(), place.path());
        assert!(!told.contains("the secret"), "{name}: {told}");
        writeln!(table, "{name}\n    {told}").expect("writes to a string");
    }
    insta::assert_snapshot!(table);
}
