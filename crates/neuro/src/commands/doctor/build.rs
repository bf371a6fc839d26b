//! What the binary was compiled for, and what it has found.

use neuro_checkpoint::Memory;
use serde_json::{Value, json};

use crate::cpu::{ARCHITECTURE, Feature, features};
use crate::device::compiled_in;
use crate::printer::{BOLD, WARNING, styled};
use crate::values::{bytes, wrapped};

/// Features that decide how fast matrices are multiplied; the others are not worth a line when they are missing.
const FAST: [&str; 8] = ["avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni"];

/// The build and the machine it runs on.
#[derive(Debug)]
pub(super) struct Build {
    features: Vec<Feature>,
    memory: Memory,
    threads: usize,
}

impl Build {
    pub(super) fn new() -> Self {
        Self { features: features(), memory: Memory::of_this_machine(), threads: candle_core::utils::get_num_threads() }
    }

    /// Threads that computations use.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the binary may use the feature.
    pub(super) fn has(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature.name == name && feature.compiled)
    }

    /// Fast features that the processor has and the binary does not use.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let unused = self.features.iter().filter(|feature| feature.present && !feature.compiled);
        unused.map(|feature| feature.name).filter(|name| FAST.contains(name)).collect()
    }

    fn compiled(&self) -> Vec<&'static str> {
        self.features.iter().filter(|feature| feature.compiled).map(|feature| feature.name).collect()
    }

    pub(super) fn text(&self) -> String {
        let profile = if cfg!(debug_assertions) { "debug build" } else { "release build" };
        let unused = self.unused();
        let processor = if unused.is_empty() {
            "the binary uses every fast feature that it has".to_owned()
        } else {
            format!("{} {}", styled(WARNING, "has more:"), unused.join(" "))
        };
        let size = |amount: Option<u64>| amount.map_or_else(|| "unknown".to_owned(), bytes);
        let mut text = format!("{}\n", styled(BOLD, format!("neuro {} ({profile})", env!("CARGO_PKG_VERSION"))));
        for (name, value) in [
            ("compiled for", format!("{ARCHITECTURE} with {}", self.compiled().join(" "))),
            ("processor", processor),
            ("devices", compiled_in().join(", ")),
            ("threads", self.threads.to_string()),
            ("memory", format!("{}, {} available", size(self.memory.total), size(self.memory.available))),
        ] {
            text.push_str(&entry(name, &value));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "debug": cfg!(debug_assertions),
            "architecture": ARCHITECTURE,
            "compiled_features": self.compiled(),
            "unused_features": self.unused(),
            "devices": compiled_in(),
            "threads": self.threads,
            "memory_bytes": self.memory.total,
            "available_bytes": self.memory.available,
        })
    }
}

/// A name and what is to be said about it, broken at 100 columns.
pub(super) fn entry(name: &str, value: &str) -> String {
    const INDENT: usize = 16;
    const COLUMNS: usize = 100;
    format!("  {name:<width$}{}\n", wrapped(value, INDENT, COLUMNS), width = INDENT - 2)
}
