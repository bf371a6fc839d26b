//! Runs the binary in a folder of its own and writes down what came out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A checkpoint of four layers with trained-like random weights and no tokenizer.
pub(crate) fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/llama-default")
}

/// A folder in which commands run; what they print of it reads `[folder]`.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A place that outlives its test; `cargo clean` removes it.
    fn lasting() -> Self {
        let parent = env!("CARGO_TARGET_TMPDIR");
        Self { folder: tempfile::tempdir_in(parent).expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command, on no terminal and with no variable that changes outputs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neuro"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM"] {
            command.env_remove(variable);
        }
        // No test needs the network; those of the hub say whom they ask.
        let hub = std::env::vars_os().map(|(name, _)| name);
        for variable in hub.filter(|name| name.to_string_lossy().starts_with("HF_")) {
            command.env_remove(variable);
        }
        for variable in [
            "HUGGINGFACE_HUB_CACHE",
            "HUGGING_FACE_HUB_TOKEN",
            "TRANSFORMERS_OFFLINE",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
        ] {
            command.env_remove(variable);
        }
        command.env("HF_HOME", self.path()).env("HF_HUB_OFFLINE", "1");
        command.env("COLUMNS", "100").env("TERM", "xterm-256color");
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Exit code, stdout and stderr as one text.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.transcript(&self.output(arguments))
    }

    /// The same with something to read on stdin.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the binary reads");
        self.transcript(&child.wait_with_output().expect("the binary ends"))
    }

    /// stdout as JSON, of a command that must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", self.transcript(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    pub(crate) fn transcript(&self, output: &Output) -> String {
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.path().display().to_string(), "[folder]");
            text.replace(&fixture().display().to_string(), "[fixture]")
        };
        format!(
            "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string()),
            clean(&output.stdout),
            clean(&output.stderr),
        )
    }
}

/// A complete scan of the phantom, made once for all tests that read one.
pub(crate) fn phantom_run() -> &'static Place {
    static RUN: OnceLock<Place> = OnceLock::new();
    RUN.get_or_init(|| {
        let place = Place::lasting();
        let output = place.output(&["scan", "--questions", "64", "--out", "run"]);
        assert!(output.status.success(), "{}", place.transcript(&output));
        place
    })
}

/// What differs between machines and versions is replaced.
macro_rules! filters {
    () => {
        vec![
            (r"neuro \d+\.\d+\.\d+", "neuro [version]"),
            (r"neuro\.exe", "neuro"),
            (r"about .*", "about [time]"),
            // Weights are packed for the processor at hand.
            (r"\b\d+\.\d [KMG]iB (of weights|of 2\.0 GiB)", "[size] $1"),
            (r"\b[\d.]+ \w+ as (Q8_0|Q4_K)\b", "[size] as $1"),
            (r"[^:\n]+\(os error \d+\)", " [system error]"),
            (r"\b[0-9a-f]{12,64}\b", "[hash]"),
            (r"\S*/(neuro)( scan| probe)", "$1$2"),
            (r"(-?\d+\.\d\d)\d+\b", "$1…"),
            (r"\b\d+(\.\d+)? (ms|s|seconds?|minutes?)\b", "[time]"),
        ]
    };
}

/// Compares with an inline snapshot.
macro_rules! assert_output {
    ($text:expr, $($snapshot:tt)*) => {
        insta::with_settings!({ filters => crate::support::filters!() }, { insta::assert_snapshot!($text, $($snapshot)*) })
    };
}

/// Compares with a snapshot in a file, for outputs that are long.
macro_rules! assert_page {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ filters => crate::support::filters!() }, { insta::assert_snapshot!($name, $text) })
    };
}
pub(crate) use assert_output;
pub(crate) use {assert_page, filters};
