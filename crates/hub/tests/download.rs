//! Downloads from a hub in this process: whole, broken off, damaged, refused, and by two at once.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use common::{Fault, Hub, etag, sha256};
use neuro_hub::{Denial, Event, HubError, HubName, Need, Settings, Snapshot, Token, find};
use tempfile::TempDir;

const COMMIT: &str = "1111111111111111111111111111111111111111";
const OTHER: &str = "2222222222222222222222222222222222222222";

/// A hub, and a cache that asks it.
struct Place {
    hub: Hub,
    cache: TempDir,
    settings: Settings,
}

impl Place {
    fn new() -> Self {
        let (hub, cache) = (Hub::new(), tempfile::tempdir().unwrap());
        let settings = Settings {
            endpoint: hub.endpoint.clone(),
            pause: Duration::from_millis(1),
            patience: Duration::from_secs(5),
            ..Settings::new(cache.path().join("hub"))
        };
        Self { hub, cache, settings }
    }

    /// With a model in two shards.
    fn sharded() -> Self {
        let place = Self::new();
        place.hub.commit("main", COMMIT, &files(&weights(1), &weights(2)));
        place
    }

    fn find(&self, name: &str) -> neuro_hub::Result<Snapshot> {
        find(&HubName::parse(name).unwrap(), Need::Everything, &self.settings, &mut |_| {})
    }

    fn offline(&self, name: &str) -> neuro_hub::Result<Snapshot> {
        let settings = Settings { offline: true, ..self.settings.clone() };
        find(&HubName::parse(name).unwrap(), Need::Everything, &settings, &mut |_| {})
    }

    fn folder(&self) -> PathBuf {
        self.settings.cache.join("models--org--name")
    }

    /// The names in a folder below the model's, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder().join(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Some kilobytes that no compression and no luck reproduces.
fn weights(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(20_000).collect()
}

const INDEX: &[u8] =
    br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;

fn files<'a>(first: &'a [u8], second: &'a [u8]) -> Vec<(&'static str, &'a [u8])> {
    vec![
        (".gitattributes", b"x"),
        ("README.md", b"# A model"),
        ("additional_chat_templates/rag.jinja", b"{{ rag }}"),
        ("chat_template.jinja", b"{{ chat }}"),
        ("config.json", b"{}"),
        ("model-00001-of-00002.safetensors", first),
        ("model-00002-of-00002.safetensors", second),
        ("model.safetensors.index.json", INDEX),
        ("pytorch_model.bin", b"pickle"),
        ("tokenizer.json", b"{\"tokenizer\": 1}"),
    ]
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}

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
fn without_the_network_what_is_missing_is_named() {
    let place = Place::sharded();
    let message = |name: &str| place.offline(name).unwrap_err().to_string();
    assert!(message("org/name").contains("nothing of it is there"), "{}", message("org/name"));
    let snapshot = place.find("org/name").unwrap();
    place.hub.asked();
    std::fs::remove_file(snapshot.path.join("model-00002-of-00002.safetensors")).unwrap();
    let found = message("org/name");
    assert!(found.contains("lacks model-00002-of-00002.safetensors") && found.contains("HF_HUB_OFFLINE"), "{found}");
    assert!(matches!(place.offline("org/name@v1"), Err(HubError::NotHere { .. })));
    assert_eq!(place.hub.asked(), []);
    // The blob is still there, so that nothing is loaded again.
    assert!(place.find("org/name").unwrap().is_fresh);
    assert_eq!(place.hub.loads(), []);
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let mut place = Place::sharded();
    place.settings.token = Token::new("hf_secret").unwrap();
    place.find("org/name").unwrap();
    let asked = place.hub.asked();
    assert!(asked.iter().any(|asked| !asked.is_hub) && asked.iter().any(|asked| asked.path.contains("resolve-cache")));
    for asked in asked {
        let expected = asked.is_hub.then(|| "Bearer hf_secret".to_owned());
        assert_eq!(asked.authorization, expected, "{asked:?}");
    }
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
fn a_slow_transfer_arrives() {
    let mut place = Place::sharded();
    // Twenty pieces take longer than the patience; what is cut off by that goes on.
    place.settings.patience = Duration::from_millis(600);
    place.hub.fail(&sha256(&weights(1)), Fault::Slow(Duration::from_millis(80)));
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
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
fn refusals_say_why() {
    let place = Place::sharded();
    let refused = |status, headers: &[(&'static str, &'static str)]| {
        place.hub.fail("/api/models/", Fault::Status(status, headers.to_vec()));
        place.find("org/name").unwrap_err()
    };
    assert!(matches!(refused(401, &[]), HubError::Denied { reason: Denial::NoToken, status: 401, .. }));
    assert!(matches!(refused(401, &[("X-Error-Code", "RepoNotFound")]), HubError::NoRepository { status: 401, .. }));
    assert!(matches!(refused(403, &[("X-Error-Code", "GatedRepo")]), HubError::Denied { reason: Denial::Gated, .. }));
    assert!(matches!(refused(404, &[("X-Error-Code", "RepoNotFound")]), HubError::NoRepository { status: 404, .. }));
    assert!(matches!(refused(404, &[("X-Error-Code", "RevisionNotFound")]), HubError::NoRevision { .. }));
    assert!(matches!(refused(429, &[("Retry-After", "3600")]), HubError::Busy { wait: Some(3600), .. }));
    assert!(matches!(refused(418, &[]), HubError::Status { status: 418, .. }));
    // One request each: none of these is tried again.
    assert_eq!(place.hub.asked().len(), 7);

    let settings = Settings { token: Token::new("hf_secret").unwrap(), ..place.settings.clone() };
    place.hub.fail("/api/models/", Fault::Status(403, Vec::new()));
    let name = HubName::parse("org/name").unwrap();
    let error = find(&name, Need::Everything, &settings, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Denied { reason: Denial::Token, .. }), "{error}");
    assert!(!error.to_string().contains("hf_secret"));

    assert!(matches!(place.find("other/name"), Err(HubError::NoRepository { .. })));
    assert!(matches!(place.find("org/name@v9"), Err(HubError::NoRevision { .. })));
}

#[test]
fn a_hub_in_trouble_is_asked_again() {
    let place = Place::sharded();
    place.hub.fail("/api/models/", Fault::Status(503, Vec::new()));
    place.hub.fail("/api/models/", Fault::Status(429, vec![("Retry-After", "0")]));
    place.hub.fail("config.json", Fault::Status(500, Vec::new()));
    place.hub.fail("/store/", Fault::Status(403, Vec::new()));
    let mut problems = Vec::new();
    let mut observe = |event: Event<'_>| {
        if let Event::Retrying { problem, .. } = event {
            problems.push(problem.to_string());
        }
    };
    find(&HubName::parse("org/name").unwrap(), Need::Everything, &place.settings, &mut observe).unwrap();
    assert_eq!(problems.len(), 4, "{problems:?}");
    // A link to the store holds a signature, which is nobody's business.
    assert!(problems.iter().all(|problem| !problem.contains("secret")), "{problems:?}");

    for _ in 0..5 {
        place.hub.fail("/api/models/", Fault::Status(502, Vec::new()));
    }
    assert!(matches!(place.find("org/name@v1"), Err(HubError::Status { status: 502, .. })));
}

#[test]
fn revisions_are_pinned_and_share_what_they_have_in_common() {
    let place = Place::sharded();
    place.hub.commit("refs/pr/1", OTHER, &files(&weights(1), &weights(5)));
    place.find("org/name").unwrap();
    place.hub.asked();
    let other = place.find("org/name@refs/pr/1").unwrap();
    assert_eq!((other.commit.as_str(), place.hub.loads().len()), (OTHER, 1));
    assert_eq!(read(&place.folder(), "refs/refs/pr/1"), OTHER.as_bytes());
    assert_eq!(read(&other.path, "model-00002-of-00002.safetensors"), weights(5));
    // A newer commit changes nothing for those who have one, or who name one.
    place.hub.commit("main", OTHER, &files(&weights(6), &weights(6)));
    assert_eq!(place.find("org/name").unwrap().commit, COMMIT);
    assert_eq!(place.find(&format!("org/name@{OTHER}")).unwrap(), Snapshot { is_fresh: false, ..other });
    assert_eq!(place.hub.asked(), []);
}

#[test]
fn what_is_missing_comes_from_the_commit_that_is_here() {
    let place = Place::sharded();
    let shard = "model-00002-of-00002.safetensors";
    let snapshot = place.find("org/name").unwrap();
    std::fs::remove_file(snapshot.path.join(shard)).unwrap();
    std::fs::remove_file(place.folder().join("blobs").join(sha256(&weights(2)))).unwrap();
    place.hub.commit("main", OTHER, &files(&weights(3), &weights(4)));
    let again = place.find("org/name").unwrap();
    assert_eq!((again.commit.as_str(), &again.path), (COMMIT, &snapshot.path));
    assert_eq!(read(&again.path, shard), weights(2));
    assert_eq!(read(&place.folder(), "refs/main"), COMMIT.as_bytes());
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
fn names_that_lead_out_of_the_cache_are_refused() {
    let outside = |place: &Place| std::fs::read_dir(place.cache.path()).unwrap().count() > 1;
    let index = br#"{"weight_map": {"a": "../../../../evil.safetensors"}}"#;
    let template = "additional_chat_templates/../../../../../evil.jinja";
    for (file, content) in [("model.safetensors.index.json", &index[..]), (template, b"evil")] {
        let place = Place::sharded();
        let mut all = files(b"", b"");
        all.retain(|(name, _)| *name != file);
        all.extend([(file, content), ("../../../../evil.safetensors", b"evil")]);
        place.hub.commit("main", COMMIT, &all);
        let message = place.find("org/name").unwrap_err().to_string();
        assert!(message.contains("../"), "{message}");
        assert!(!outside(&place));
    }
    // A tag and a commit become names of files too.
    let place = Place::sharded();
    place.hub.lie(COMMIT, "config.json", "../../../../evil");
    assert!(matches!(place.find("org/name"), Err(HubError::Answer { .. })));
    place.hub.commit("v1", "../../../evil", &files(b"a", b"b"));
    assert!(matches!(place.find("org/name@v1"), Err(HubError::Answer { .. })));
    assert!(!outside(&place));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_cache_is_not_followed() {
    let place = Place::sharded();
    let snapshot = place.find("org/name").unwrap();
    let secret = place.cache.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let link = snapshot.path.join("tokenizer.json");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    for found in [place.find("org/name"), place.offline("org/name")] {
        let error = found.unwrap_err();
        assert!(matches!(&error, HubError::LeadsOut { path, .. } if *path == link), "{error}");
    }
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
fn pickles_are_refused_before_anything_is_loaded() {
    let place = Place::new();
    place.hub.commit("main", COMMIT, &[("config.json", b"{}"), ("pytorch_model.bin", b"pickle")]);
    let message = place.find("org/name").unwrap_err().to_string();
    assert!(message.contains("pickles") && message.contains("save_pretrained"), "{message}");
    assert_eq!(place.hub.asked().len(), 1);
    assert_eq!(place.names("blobs"), Vec::<String>::new());
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
fn a_hub_that_cannot_be_reached_is_only_missed_where_something_is() {
    let place = Place::sharded();
    let snapshot = place.find("org/name").unwrap();
    let name = HubName::parse("org/name").unwrap();
    let settings = Settings { endpoint: "http://127.0.0.1:9".to_owned(), ..place.settings.clone() };
    let mut warned = 0;
    let mut observe = |event: Event<'_>| warned += usize::from(matches!(event, Event::Unreachable { .. }));
    // Another program may have fetched the weights alone.
    std::fs::remove_file(snapshot.path.join("tokenizer.json")).unwrap();
    assert_eq!(find(&name, Need::Everything, &settings, &mut observe).unwrap().path, snapshot.path);
    std::fs::remove_file(snapshot.path.join("config.json")).unwrap();
    let error = find(&name, Need::Everything, &settings, &mut observe).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert_eq!(warned, 1);
}

#[test]
fn redirects_in_circles_end() {
    let place = Place::sharded();
    for _ in 0..20 {
        place.hub.fail("config.json", Fault::Status(307, vec![("Location", "/org/name/resolve/x/config.json")]));
    }
    assert!(matches!(place.find("org/name"), Err(HubError::Answer { .. })));
    assert!(place.hub.asked().len() <= 11);
}
