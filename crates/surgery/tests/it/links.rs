//! Exports that share files with their source.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::hf::{Exported, HfExport, export};
use neuro_surgery::verify::Probe;
use neuro_surgery::{Card, Quiet};

use crate::common::fixture;

/// A sharded checkpoint in a folder of its own, so that it can be changed.
fn source(place: &Path) -> PathBuf {
    let (from, to) = (fixture("mistral-linear-sharded"), place.join("source"));
    fs::create_dir(&to).unwrap();
    for file in from.read_dir().unwrap().map(|file| file.unwrap()) {
        let name = file.file_name();
        if !name.to_string_lossy().starts_with("golden") {
            fs::copy(file.path(), to.join(name)).unwrap();
        }
    }
    to
}

fn run(source: &Path, out: &Path, link: bool) -> Exported {
    let checkpoint = Arc::new(Checkpoint::open(source).unwrap());
    let path = LayerPath::parse("(3,5)", checkpoint.config.num_layers()).unwrap();
    let probe = Probe::new(None, None, checkpoint.config.vocab_size).unwrap();
    let card = Card::default();
    let hf = HfExport { checkpoint: &checkpoint, source: "base", path: &path, link, card: &card, probe: &probe };
    let exported = export(&hf, out, &mut Quiet).unwrap();
    assert_eq!(exported.comparison.largest, 0.0);
    exported
}

fn shards(folder: &Path) -> Vec<PathBuf> {
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let mut shards: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "safetensors")).collect();
    shards.sort();
    assert!(shards.len() > 2);
    shards
}

#[test]
fn shards_that_stay_as_they_are_are_shared() {
    let place = tempfile::tempdir().unwrap();
    let source = source(place.path());
    let (linked, copied) = (place.path().join("linked"), place.path().join("copied"));
    let (of_linked, of_copied) = (run(&source, &linked, true), run(&source, &copied, false));
    let shared = of_linked.linked_bytes + of_linked.reflinked_bytes;
    assert!(shared > 0 && of_linked.kept_bytes == 0, "{of_linked:?}");
    assert_eq!(of_linked.bytes + shared, of_copied.bytes);
    assert_eq!((of_copied.linked_bytes, of_copied.reflinked_bytes), (0, 0));
    let index = |folder: &Path| {
        let text = fs::read(folder.join("model.safetensors.index.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["weight_map"].as_object().unwrap().len()
    };
    assert_eq!(index(&linked), index(&copied));

    let is_hard = of_linked.linked_bytes > 0;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let numbers = |folder: &Path| -> Vec<(u64, u64)> {
            shards(folder)
                .iter()
                .map(|file| fs::symlink_metadata(file).unwrap())
                .map(|of| (of.ino(), of.nlink()))
                .collect()
        };
        let of_source = numbers(&source);
        let common = |folder: &Path| numbers(folder).iter().filter(|number| of_source.contains(number)).count();
        assert_eq!(common(&linked) > 0, is_hard);
        assert!(!is_hard || of_source.iter().any(|(_, links)| *links == 2), "{of_source:?}");
        assert_eq!(common(&copied), 0);
    }

    // Whoever changes the model in place changes what is hard-linked to it, and nothing else.
    let before: Vec<_> = [&linked, &copied]
        .map(|folder| shards(folder).iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>())
        .into();
    for shard in shards(&source) {
        let mut file = OpenOptions::new().write(true).open(shard).unwrap();
        file.seek(SeekFrom::End(-4)).unwrap();
        file.write_all(&7.0_f32.to_le_bytes()).unwrap();
    }
    let after: Vec<_> = [&linked, &copied]
        .map(|folder| shards(folder).iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>())
        .into();
    assert_eq!(before[0] != after[0], is_hard);
    assert_eq!(before[1], after[1]);
}

/// A file system in memory, which is another disk than that of temporary files nearly everywhere.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_linked_is_copied_and_told() {
    use std::os::unix::fs::MetadataExt;
    let place = tempfile::tempdir().unwrap();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: there is no /dev/shm");
        return;
    };
    if fs::metadata(other.path()).unwrap().dev() == fs::metadata(place.path()).unwrap().dev() {
        println!("skipped: /dev/shm is no other disk");
        return;
    }
    let source = source(place.path());
    let exported = run(&source, &other.path().join("out"), true);
    assert_eq!((exported.linked_bytes, exported.reflinked_bytes), (0, 0));
    let told = |note: &String| note.contains("could not be linked") && note.contains("were copied");
    assert!(exported.notes.iter().any(told), "{:?}", exported.notes);
    let copied = place.path().join("copied");
    run(&source, &copied, false);
    for (one, other) in shards(&copied).iter().zip(shards(&other.path().join("out"))) {
        // A link has the source's head, a copy one of its own; here both are copies.
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
    }
}

/// In a snapshot of the Hugging Face cache every file is a link to `../../blobs`; an export of it holds files.
#[cfg(unix)]
#[test]
fn a_snapshot_of_the_cache_takes_everything_along() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let (plain, root) = (source(place.path()), place.path().join("models--org--base"));
    let beside = [
        ("README.md", "---\nlicense: apache-2.0\n---\n# Base\n"),
        ("LICENSE", "the licence"),
        ("tokenizer_config.json", "{}"),
        ("generation_config.json", "{}"),
        ("chat_template.jinja", "{{ messages }}"),
        ("additional_chat_templates/tools.jinja", "{{ tools }}"),
        ("original/params.json", "{}"),
    ];
    fs::create_dir(plain.join("additional_chat_templates")).unwrap();
    fs::create_dir(plain.join("original")).unwrap();
    for (name, text) in beside {
        fs::write(plain.join(name), text).unwrap();
    }
    // The layout of huggingface_hub: `snapshots/COMMIT/NAME` → `blobs/HASH`.
    let snapshot = root.join("snapshots/c0ffee");
    fs::create_dir_all(root.join("blobs")).unwrap();
    for (number, name) in names(&plain).into_iter().enumerate() {
        let (blob, link) = (root.join("blobs").join(number.to_string()), snapshot.join(&name));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::rename(plain.join(&name), blob).unwrap();
        let up = "../".repeat(2 + name.matches('/').count());
        symlink(format!("{up}blobs/{number}"), link).unwrap();
    }
    for link in [false, true] {
        let out = place.path().join(format!("out-{link}"));
        let exported = run(&snapshot, &out, link);
        assert_eq!(exported.linked_bytes + exported.reflinked_bytes > 0, link, "{exported:?}");
        for name in names(&out) {
            assert!(fs::symlink_metadata(out.join(&name)).unwrap().is_file(), "{name} is a link");
        }
        for (name, text) in &beside[1..6] {
            assert_eq!(fs::read_to_string(out.join(name)).unwrap(), *text, "{name}");
        }
        let card = fs::read_to_string(out.join("README.md")).unwrap();
        assert!(card.contains("license: \"apache-2.0\"") && card.contains("licence holds"), "{card}");
        assert_eq!(exported.notes, ["left out of the export: original/; copy what else belongs to the model"]);
    }
}

/// Every file of a folder and of the folders in it.
#[cfg(unix)]
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            names.extend(names_below(&entry.path(), &name));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[cfg(unix)]
fn names_below(folder: &Path, name: &str) -> Vec<String> {
    names(folder).into_iter().map(|inner| format!("{name}/{inner}")).collect()
}
