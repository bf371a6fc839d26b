//! Downloads from a hub in this process: whole, broken off, damaged, and by two at once.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;
#[path = "common/place.rs"]
mod place;

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use common::{Fault, etag, sha256};
use neuro_hub::{Event, HubError, HubName, Need, Pace, Settings, Snapshot, find};
use place::{COMMIT, OTHER, Place, files, read, weights};

#[test]
fn a_model_is_fetched_once_and_then_found_without_asking() {
    let place = Place::sharded();
    let mut events = Vec::new();
    let mut observe = |event: Event<'_>| {
        if let Event::Progress { done, total, .. } = event {
            events.push((done, total));
        }
    };
    let name = HubName::parse("org/name").unwrap();
    let snapshot = find(&name, Need::Everything, &place.settings, &mut observe).unwrap();
    assert_eq!(snapshot.path, place.folder().join("snapshots").join(COMMIT));
    assert_eq!((snapshot.name.to_string(), snapshot.is_fresh), (format!("org/name@{COMMIT}"), true));
    for (file, bytes) in files(&weights(1), &weights(2)).into_iter().filter(|(file, _)| !file.starts_with(['.', 'p'])) {
        assert_eq!(read(&snapshot.path, file), bytes, "{file}");
    }
    // Nothing that is not needed, nothing half done, the reference last.
    assert!([".gitattributes", "pytorch_model.bin"].iter().all(|file| !snapshot.path.join(file).exists()));
    assert!(place.names("blobs").iter().all(|blob| !blob.ends_with(".incomplete")));
    assert_eq!(read(&place.folder(), "refs/main"), COMMIT.as_bytes());
    assert!(place.names(&format!(".no_exist/{COMMIT}")).contains(&"generation_config.json".to_owned()));
    let blob = place.folder().join("blobs").join(sha256(&weights(1)));
    assert_eq!(std::fs::read(&blob).unwrap(), weights(1));
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(snapshot.path.join("additional_chat_templates/rag.jinja")).unwrap(),
        Path::new("../../../blobs").join(etag(b"{{ rag }}", false))
    );
    let last = *events.last().unwrap();
    assert_eq!(last.0, last.1);
    assert!(events.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].0 <= pair[0].1), "{events:?}");

    place.hub.asked();
    let again = place.find("org/name").unwrap();
    assert_eq!(again, Snapshot { is_fresh: false, ..snapshot.clone() });
    assert_eq!(place.offline("org/name").unwrap(), again);
    assert_eq!(place.offline(&snapshot.name.to_string()).unwrap().path, snapshot.path);
    assert_eq!(place.hub.asked(), []);
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let place = Place::sharded();
    place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(5 * 1024));
    place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(2 * 1024));
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    let ranges: Vec<_> = place.hub.loads().into_iter().flatten().collect();
    assert_eq!(ranges, ["bytes=5120-", "bytes=7168-"]);
}

#[test]
fn a_silent_transfer_goes_on() {
    let mut place = Place::sharded();
    place.settings.patience = Duration::from_millis(300);
    place.hub.fail(&sha256(&weights(1)), Fault::StallAfter(3 * 1024, Duration::from_secs(20)));
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    assert_eq!(place.hub.loads().into_iter().flatten().collect::<Vec<_>>(), ["bytes=3072-"]);
}

#[test]
fn a_slow_transfer_arrives_in_one_piece() {
    let mut place = Place::sharded();
    // Twenty pieces take three times as long as the patience, which is with each of them.
    place.settings.patience = Duration::from_millis(500);
    place.hub.fail(&sha256(&weights(1)), Fault::Slow(Duration::from_millis(80)));
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    assert_eq!(place.hub.loads().into_iter().flatten().count(), 0);
}

#[test]
fn a_transfer_that_drips_is_given_up_and_keeps_what_came() {
    let mut place = Place::sharded();
    let (weights, usual) = (weights(1), place.settings.pace);
    place.settings.pace = Pace { bytes: 1 << 20, time: Duration::from_millis(200) };
    for _ in 0..5 {
        place.hub.fail(&sha256(&weights), Fault::Slow(Duration::from_millis(100)));
    }
    let error = place.find("org/name").unwrap_err().to_string();
    assert!(error.contains("bytes came within 0.2 s, expected 1048576 or more; "), "{error}");
    let kept = std::fs::read(place.folder().join(format!("blobs/{}.incomplete", sha256(&weights)))).unwrap();
    assert!(!kept.is_empty() && weights.starts_with(&kept), "{}", kept.len());
    assert!(error.ends_with(&format!("; {} of 20000 bytes are kept", kept.len())), "{error}");
    // Each request went on where the one before was left, and so does the next command.
    let starts = |ranges: Vec<Option<String>>| -> Vec<usize> {
        ranges.iter().flatten().map(|range| range["bytes=".len()..range.len() - 1].parse().unwrap()).collect()
    };
    let asked = starts(place.hub.loads());
    assert!(asked.len() == 4 && asked.is_sorted_by(|a, b| a < b), "{asked:?}");
    place.settings.pace = usual;
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights);
    assert_eq!(starts(place.hub.loads()), [kept.len()]);
}

#[test]
fn a_transfer_that_was_given_up_goes_on_the_next_time() {
    let place = Place::sharded();
    place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(4 * 1024));
    // The fifth failure without progress is the last.
    for _ in 0..4 {
        place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(0));
    }
    let error = place.find("org/name").unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    let incomplete = format!("{}.incomplete", sha256(&weights(1)));
    assert!(place.names("blobs").contains(&incomplete));
    assert!(!place.folder().join("refs").exists(), "a reference to a half of a model");
    place.hub.asked();
    place.find("org/name").unwrap();
    assert_eq!(place.hub.loads(), [Some("bytes=4096-".to_owned()), None]);
    assert!(!place.names("blobs").contains(&incomplete));
}

#[test]
fn a_server_that_gives_no_parts_gives_the_whole_again() {
    let place = Place::sharded();
    place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(5 * 1024));
    place.hub.fail(&sha256(&weights(1)), Fault::Whole);
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
}

#[test]
fn what_was_damaged_on_disk_is_fetched_anew() {
    let place = Place::sharded();
    let blobs = place.folder().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    for (seed, length) in [(1, 7_000), (2, 50_000)] {
        std::fs::write(blobs.join(format!("{}.incomplete", sha256(&weights(seed)))), vec![7; length]).unwrap();
    }
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    assert_eq!(read(&snapshot.path, "model-00002-of-00002.safetensors"), weights(2));
}

#[test]
fn a_content_with_the_wrong_hash_leaves_nothing() {
    let place = Place::sharded();
    place.hub.lie(COMMIT, "model-00001-of-00002.safetensors", &sha256(b"something else"));
    let error = place.find("org/name").unwrap_err();
    let HubError::Damaged { what: "SHA-256", found, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((found, expected), (&sha256(&weights(1)), &sha256(b"something else")));
    assert!(place.names("blobs").iter().all(|blob| !blob.contains(expected.as_str())), "{:?}", place.names("blobs"));
    assert!(!place.folder().join("snapshots").join(COMMIT).join("model-00001-of-00002.safetensors").exists());
    assert!(place.offline("org/name").is_err());
}

#[test]
fn a_small_file_is_proved_too() {
    let place = Place::sharded();
    let real = etag(b"{}", false);
    // What the hub calls something else is not taken for it.
    place.hub.lie(COMMIT, "config.json", &etag(b"{ }", false));
    let error = place.find("org/name").unwrap_err();
    let HubError::Damaged { what: "SHA-1", file, found, .. } = &error else { panic!("{error}") };
    assert_eq!((file.as_str(), found), ("config.json", &real));
    assert!(place.names("blobs").is_empty(), "{:?}", place.names("blobs"));
    // A mirror's own tag proves nothing, and names the content all the same.
    place.hub.lie(COMMIT, "config.json", "v1-of-a-mirror");
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "config.json"), b"{}");
    assert!(place.names("blobs").contains(&"v1-of-a-mirror".to_owned()));
}

#[test]
fn a_file_that_changed_meanwhile_is_begun_again() {
    let place = Place::sharded();
    place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(5 * 1024));
    for _ in 0..5 {
        place.hub.fail(&sha256(&weights(1)), Fault::CloseAfter(0));
    }
    place.find("org/name").unwrap_err();
    // A new commit, as the hub does it; what was there of the old one is of no use.
    place.hub.commit("main", OTHER, &files(&weights(3), &weights(2)));
    place.hub.asked();
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(snapshot.commit, OTHER);
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(3));
    assert_eq!(place.hub.loads().into_iter().flatten().count(), 0);
}

#[test]
fn a_file_that_changes_within_its_commit_is_begun_again() {
    let place = Place::sharded();
    let (first, tag) = ("model-00001-of-00002.safetensors", sha256(&weights(1)));
    std::thread::scope(|scope| {
        place.hub.fail(&tag, Fault::StallAfter(5 * 1024, Duration::from_millis(300)));
        let found = scope.spawn(|| place.find("org/name"));
        std::thread::sleep(Duration::from_millis(150));
        place.hub.change(COMMIT, first, &weights(4));
        assert_eq!(read(&found.join().unwrap().unwrap().path, first), weights(4));
    });
}

#[test]
fn two_at_once_load_everything_once() {
    let place = Place::sharded();
    place.hub.fail(&sha256(&weights(1)), Fault::Slow(Duration::from_millis(20)));
    let barrier = Barrier::new(2);
    let waited = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                let mut observe = |event: Event<'_>| {
                    if matches!(event, Event::Waiting { .. }) {
                        waited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                };
                let name = HubName::parse("org/name").unwrap();
                let snapshot = find(&name, Need::Everything, &place.settings, &mut observe).unwrap();
                assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
            });
        }
    });
    assert_eq!(place.hub.loads().len(), 3, "the tokenizer and two shards");
    assert!(waited.into_inner() > 0);
}

#[test]
fn gguf_files_are_fetched_by_name_with_their_other_parts() {
    let place = Place::new();
    let parts = ["q4/m-00001-of-00002.gguf", "q4/m-00002-of-00002.gguf"];
    let (one, two) = (weights(1), weights(2));
    place.hub.commit("main", COMMIT, &[("README.md", b"x"), (parts[0], &one), (parts[1], &two), ("m-Q8_0.gguf", b"8")]);
    let snapshot = place.find("org/name:q4/m-00001-of-00002.gguf").unwrap();
    assert_eq!(snapshot.path, place.folder().join("snapshots").join(COMMIT).join(parts[0]));
    assert_eq!(std::fs::read(snapshot.path.with_file_name("m-00002-of-00002.gguf")).unwrap(), two);
    assert_eq!(place.hub.loads().len(), 2);
    assert_eq!(snapshot.name.to_string(), format!("org/name@{COMMIT}:{}", parts[0]));
    assert!(!place.offline("org/name:q4/m-00002-of-00002.gguf").unwrap().is_fresh);
    let message = place.find("org/name").unwrap_err().to_string();
    assert!(
        message.contains("org/name:m-Q8_0.gguf") && message.contains("org/name:q4/m-00001-of-00002.gguf"),
        "{message}"
    );
    let message = place.find("org/name:m-Q2_K.gguf").unwrap_err().to_string();
    assert!(message.contains("has no file m-Q2_K.gguf; there are org/name:m-Q8_0.gguf"), "{message}");
}

#[test]
fn a_description_needs_no_weights() {
    let place = Place::sharded();
    let name = HubName::parse("org/name").unwrap();
    let describe = || find(&name, Need::Description, &place.settings, &mut |_| {});
    let snapshot = describe().unwrap();
    assert!(snapshot.path.join("config.json").is_file());
    assert_eq!(place.hub.loads().len(), 1, "the tokenizer");
    assert!(!describe().unwrap().is_fresh);
    assert_eq!(place.hub.asked(), []);
    // The weights come when they are needed.
    assert!(place.find("org/name").unwrap().is_fresh);
    assert_eq!(place.hub.loads().len(), 2);
}

#[test]
fn a_mirror_may_lie_below_another_address() {
    let place = Place::sharded();
    let settings = Settings { endpoint: format!("{}/mirror", place.hub.endpoint), ..place.settings.clone() };
    let name = HubName::parse("org/name").unwrap();
    let snapshot = find(&name, Need::Everything, &settings, &mut |_| {}).unwrap();
    assert_eq!(read(&snapshot.path, "config.json"), b"{}");
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    assert!(
        place
            .hub
            .asked()
            .iter()
            .filter(|asked| asked.path.contains("/resolve/"))
            .all(|asked| asked.path.starts_with("/mirror/"))
    );
}
