//! Exports that do not compute their paths, because the disk keeps other numbers than were written: nothing is deleted, and
//! each is marked.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::gguf::{self, GgufExport};
use neuro_surgery::hf::{self, Exported, HfExport};
use neuro_surgery::verify::{MARK, Probe};
use neuro_surgery::{Card, Progress, Quiet};

use crate::common::checkpoint;

/// Writes other numbers into the middle of a file once nearly all of it is there.
struct Fault {
    file: PathBuf,
}

impl Progress for Fault {
    fn bytes(&mut self, done: u64, total: u64) -> bool {
        if done == total {
            let mut file = OpenOptions::new().write(true).open(&self.file).unwrap();
            file.seek(SeekFrom::Start(total / 2)).unwrap();
            let numbers: Vec<u8> = (0..64).flat_map(|_| 3.0_f32.to_le_bytes()).collect();
            file.write_all(&numbers).unwrap();
        }
        true
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn folder(source: &Arc<Checkpoint>, out: &Path, progress: &mut dyn Progress) -> Exported {
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let probe = Probe::new(None, None, source.config.vocab_size).unwrap();
    let card = Card::default();
    let export = HfExport { checkpoint: source, source: "base", path: &path, link: false, card: &card, probe: &probe };
    hf::export(&export, out, progress).unwrap()
}

fn file(source: &Arc<Checkpoint>, out: &Path, progress: &mut dyn Progress) -> Exported {
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let probe = Probe::new(None, None, source.config.vocab_size).unwrap();
    let export =
        GgufExport { checkpoint: source, source: "base", path: &path, numbers: None, text: None, probe: &probe };
    gguf::export(&export, out, progress).unwrap()
}

#[test]
fn a_bad_folder_stays_and_is_marked_in_itself() {
    let (source, place) = (checkpoint("llama-default"), tempfile::tempdir().unwrap());
    let out = place.path().join("out");
    let part = place.path().join(".out.neuro-partial/model.safetensors.part");
    let exported = folder(&source, &out, &mut Fault { file: part });
    assert!(!exported.comparison.passed(), "{exported:?}");
    assert_eq!(names(place.path()), ["out"]);
    assert!(out.join("model.safetensors").is_file() && out.join("config.json").is_file());
    let mark = fs::read_to_string(out.join(MARK)).unwrap();
    assert_eq!(mark, format!("{}\n", exported.comparison.sentence()));
    assert!(mark.contains("DOES NOT COMPUTE THE PATH"), "{mark}");
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.contains("DOES NOT COMPUTE THE PATH"), "{card}");

    let good = place.path().join("good");
    assert!(folder(&source, &good, &mut Quiet).comparison.passed());
    assert!(!good.join(MARK).exists());
}

#[test]
fn a_bad_file_stays_and_is_marked_beside_itself() {
    let (source, place) = (checkpoint("llama-default"), tempfile::tempdir().unwrap());
    let out = place.path().join("out.gguf");
    let part = place.path().join(".out.gguf.neuro-partial.gguf");
    let exported = file(&source, &out, &mut Fault { file: part });
    assert!(!exported.comparison.passed(), "{exported:?}");
    assert_eq!(names(place.path()), ["out.gguf".to_owned(), format!("out.gguf.{MARK}")]);

    // The mark is of that file alone.
    fs::remove_file(&out).unwrap();
    assert!(file(&source, &out, &mut Quiet).comparison.passed());
    assert_eq!(names(place.path()), ["out.gguf"]);
}

/// What a terminal is told: bytes that only grow, up to all of them, and then that models are compared.
#[test]
fn progress_grows_to_the_whole() {
    #[derive(Default)]
    struct Record {
        bytes: Vec<(u64, u64)>,
        compared: usize,
    }
    impl Progress for Record {
        fn bytes(&mut self, done: u64, total: u64) -> bool {
            self.bytes.push((done, total));
            true
        }

        fn compared(&mut self) -> bool {
            self.compared += 1;
            true
        }
    }
    let (source, place) = (checkpoint("../phantoms/phantom"), tempfile::tempdir().unwrap());
    let path = LayerPath::parse("(4,8)", 12).unwrap();
    let probe = Probe::new(None, None, source.config.vocab_size).unwrap();
    let (card, mut record) = (Card::default(), Record::default());
    let export = HfExport { checkpoint: &source, source: "base", path: &path, link: false, card: &card, probe: &probe };
    let exported = hf::export(&export, &place.path().join("out"), &mut record).unwrap();
    assert!(record.bytes.len() > 10 && record.bytes.is_sorted(), "{:?}", record.bytes);
    assert!(record.bytes.iter().all(|(_, total)| *total == exported.bytes));
    assert_eq!(record.bytes.last(), Some(&(exported.bytes, exported.bytes)));
    assert_eq!(record.compared, 2);
}

#[test]
fn an_export_that_is_stopped_while_it_is_compared_leaves_nothing() {
    struct Stop;
    impl Progress for Stop {
        fn bytes(&mut self, _done: u64, _total: u64) -> bool {
            true
        }

        fn compared(&mut self) -> bool {
            false
        }
    }
    let (source, place) = (checkpoint("llama-default"), tempfile::tempdir().unwrap());
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let probe = Probe::new(None, None, source.config.vocab_size).unwrap();
    let card = Card::default();
    let hf_ = HfExport { checkpoint: &source, source: "base", path: &path, link: false, card: &card, probe: &probe };
    let gguf_ =
        GgufExport { checkpoint: &source, source: "base", path: &path, numbers: None, text: None, probe: &probe };
    hf::export(&hf_, &place.path().join("out"), &mut Stop).unwrap_err();
    gguf::export(&gguf_, &place.path().join("out.gguf"), &mut Stop).unwrap_err();
    assert!(names(place.path()).is_empty());
}
