//! What is in the cache already: used as it is, completed from the hub, or used without what the hub does not give.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;
#[path = "common/place.rs"]
mod place;

use common::{Fault, sha256};
use neuro_hub::{HubError, HubName, Need, Settings, Snapshot, find};
use place::{COMMIT, OTHER, Place, files, read, weights};

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
fn a_hub_that_cannot_be_reached_is_only_missed_where_something_is() {
    let place = Place::sharded();
    let snapshot = place.find("org/name").unwrap();
    let settings = Settings { endpoint: "http://127.0.0.1:9".to_owned(), ..place.settings.clone() };
    // Another program may have fetched the weights alone.
    std::fs::remove_file(snapshot.path.join("tokenizer.json")).unwrap();
    let (found, said) = place.told(&settings, "org/name");
    assert_eq!(found.unwrap().path, snapshot.path);
    assert!(said.len() == 1 && said[0].contains("cannot be reached"), "{said:?}");
    std::fs::remove_file(snapshot.path.join("config.json")).unwrap();
    let (found, said) = place.told(&settings, "org/name");
    let error = found.unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(said.is_empty(), "{said:?}");
}

/// As another program leaves it that has fetched only what it needed.
fn half_of_a_model(place: &Place) -> Snapshot {
    let mut all = files(b"one", b"two");
    all.extend([("generation_config.json", &b"{\"top_k\": 1}"[..]), ("tokenizer_config.json", b"{}")]);
    place.hub.commit("main", COMMIT, &all);
    let snapshot = place.find("org/name").unwrap();
    for file in ["generation_config.json", "tokenizer_config.json"] {
        std::fs::remove_file(snapshot.path.join(file)).unwrap();
    }
    std::fs::remove_dir_all(place.folder().join(".no_exist")).unwrap();
    place.hub.asked();
    snapshot
}

#[test]
fn settings_that_nobody_has_asked_for_are_fetched_once() {
    let place = Place::new();
    let snapshot = half_of_a_model(&place);
    let (found, said) = place.told(&place.settings, "org/name");
    assert!(found.unwrap().is_fresh && said.is_empty(), "{said:?}");
    assert_eq!(read(&snapshot.path, "generation_config.json"), b"{\"top_k\": 1}");
    assert!(place.names(&format!(".no_exist/{COMMIT}")).contains(&"special_tokens_map.json".to_owned()));
    assert_eq!(place.hub.loads(), [], "weights and tokenizer are there");
    // Now everything is known, and nobody is asked.
    assert!(!place.find("org/name").unwrap().is_fresh);
    assert_eq!(place.hub.asked(), []);
}

#[test]
fn without_the_network_settings_that_may_be_missing_are_named() {
    let place = Place::new();
    let snapshot = half_of_a_model(&place);
    let settings = Settings { offline: true, ..place.settings.clone() };
    let (found, said) = place.told(&settings, "org/name");
    assert_eq!(found.unwrap().path, snapshot.path);
    let expected =
        "it lacks generation_config.json, tokenizer_config.json and special_tokens_map.json, if the model has these";
    assert_eq!(said, [expected]);
    assert_eq!(place.hub.asked(), []);
}

#[test]
fn a_commit_that_has_left_the_hub_is_used_where_it_can_be() {
    let place = Place::new();
    let snapshot = half_of_a_model(&place);
    place.hub.forget(COMMIT);
    place.hub.commit("main", OTHER, &files(&weights(3), &weights(4)));
    let (found, said) = place.told(&place.settings, "org/name");
    assert_eq!(found.unwrap(), Snapshot { is_fresh: false, ..snapshot.clone() });
    assert!(said.len() == 1 && said[0].contains(COMMIT) && said[0].contains("no longer on"), "{said:?}");
    // Without a shard it cannot be, and no other commit may take its place.
    std::fs::remove_file(snapshot.path.join("model-00002-of-00002.safetensors")).unwrap();
    let error = place.find("org/name").unwrap_err();
    let HubError::Gone { reference: Some(reference), lacking, .. } = &error else { panic!("{error}") };
    assert_eq!(reference, &place.folder().join("refs").join("main"));
    assert_eq!(lacking, "it lacks model-00002-of-00002.safetensors");
    let named = place.find(&format!("org/name@{COMMIT}")).unwrap_err();
    assert!(matches!(named, HubError::Gone { reference: None, .. }), "{named}");
    // As the error advises.
    std::fs::remove_file(reference).unwrap();
    assert_eq!(place.find("org/name").unwrap().commit, OTHER);
}

#[test]
fn whatever_the_hub_says_a_model_that_is_here_is_used() {
    for (status, headers) in [
        (401, vec![]),
        (403, vec![("X-Error-Code", "GatedRepo")]),
        (404, vec![("X-Error-Code", "RepoNotFound")]),
        (429, vec![("Retry-After", "3600")]),
        (500, vec![]),
        (200, vec![]),
    ] {
        let place = Place::new();
        let snapshot = half_of_a_model(&place);
        place.hub.fail("/api/models/", Fault::Status(status, headers));
        let (found, said) = place.told(&place.settings, "org/name");
        assert_eq!(found.unwrap().path, snapshot.path, "HTTP {status}");
        assert_eq!(said.len(), 1, "HTTP {status}: {said:?}");
        assert_eq!(place.hub.asked().len(), 1, "HTTP {status}: no second try");
    }
}

#[test]
fn a_hub_that_would_leave_the_cache_spoils_what_is_here() {
    let place = Place::new();
    half_of_a_model(&place);
    let mut all = files(b"one", b"two");
    all.push(("additional_chat_templates/../../../../evil.jinja", b"evil"));
    place.hub.commit("main", COMMIT, &all);
    assert!(matches!(place.find("org/name"), Err(HubError::FileName { .. })));
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_is_used_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let snapshot = half_of_a_model(&place);
    let allow = |mode| {
        for folder in [place.settings.cache.join(".locks/models--org--name"), place.folder(), snapshot.path.clone()] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o500);
    // The superuser writes all the same.
    if std::fs::write(snapshot.path.join("x"), "").is_err() {
        let (found, said) = place.told(&place.settings, "org/name");
        assert_eq!(found.unwrap().path, snapshot.path);
        assert!(said.len() == 1 && said[0].contains("ermission"), "{said:?}");
    }
    allow(0o700);
}

#[test]
fn a_description_without_weights_is_complete_for_itself() {
    let place = Place::sharded();
    let name = HubName::parse("org/name").unwrap();
    let describe = |settings: &Settings| find(&name, Need::Description, settings, &mut |_| panic!("nothing to say"));
    find(&name, Need::Description, &place.settings, &mut |_| {}).unwrap();
    let snapshot = describe(&Settings { offline: true, ..place.settings.clone() }).unwrap();
    assert!(snapshot.path.join("config.json").is_file());
}
