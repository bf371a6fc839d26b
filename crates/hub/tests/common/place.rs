//! A hub with a cache that asks it, and a model in two shards.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a helper of tests fails like a test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use neuro_hub::{Event, HubName, Need, Settings, Snapshot, find};
use tempfile::TempDir;

use crate::common::Hub;

pub(crate) const COMMIT: &str = "1111111111111111111111111111111111111111";
pub(crate) const OTHER: &str = "2222222222222222222222222222222222222222";

/// A hub, and a cache that asks it.
pub(crate) struct Place {
    pub(crate) hub: Hub,
    pub(crate) cache: TempDir,
    pub(crate) settings: Settings,
}

impl Place {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn sharded() -> Self {
        let place = Self::new();
        place.hub.commit("main", COMMIT, &files(&weights(1), &weights(2)));
        place
    }

    pub(crate) fn find(&self, name: &str) -> neuro_hub::Result<Snapshot> {
        find(&HubName::parse(name).unwrap(), Need::Everything, &self.settings, &mut |_| {})
    }

    /// What is found, and what is said about what it lacks: that, and why the hub did not give it.
    pub(crate) fn told(&self, settings: &Settings, name: &str) -> (neuro_hub::Result<Snapshot>, Vec<String>) {
        let mut said = Vec::new();
        let mut observe = |event: Event<'_>| {
            if let Event::Incomplete { lacking, problem } = event {
                said.push(problem.map_or_else(|| lacking.to_owned(), ToString::to_string));
            }
        };
        let found = find(&HubName::parse(name).unwrap(), Need::Everything, settings, &mut observe);
        (found, said)
    }

    pub(crate) fn offline(&self, name: &str) -> neuro_hub::Result<Snapshot> {
        let settings = Settings { offline: true, ..self.settings.clone() };
        find(&HubName::parse(name).unwrap(), Need::Everything, &settings, &mut |_| {})
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.settings.cache.join("models--org--name")
    }

    /// The names in a folder below the model's, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder().join(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Some kilobytes that no compression and no luck reproduces.
pub(crate) fn weights(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(20_000).collect()
}

pub(crate) const INDEX: &[u8] =
    br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;

pub(crate) fn files<'a>(first: &'a [u8], second: &'a [u8]) -> Vec<(&'static str, &'a [u8])> {
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

pub(crate) fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}
