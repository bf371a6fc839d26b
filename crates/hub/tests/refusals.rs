//! What a hub refuses, and what is refused of what it says.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;
#[path = "common/place.rs"]
mod place;

use common::Fault;
use neuro_hub::{Denial, Event, HubError, HubName, Need, Settings, Token, find};
use place::{COMMIT, Place, files};

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
fn pickles_are_refused_before_anything_is_loaded() {
    let place = Place::new();
    place.hub.commit("main", COMMIT, &[("config.json", b"{}"), ("pytorch_model.bin", b"pickle")]);
    let message = place.find("org/name").unwrap_err().to_string();
    assert!(message.contains("pickles") && message.contains("save_pretrained"), "{message}");
    assert_eq!(place.hub.asked().len(), 1);
    assert_eq!(place.names("blobs"), Vec::<String>::new());
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
