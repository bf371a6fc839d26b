//! What other programs compute of an export, where Python has them. They run outside, as processes of their own.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use neuro_checkpoint::{Activation, Checkpoint, LayerConfig};
use neuro_path::LayerPath;
use serde_json::Value;

use crate::verify::{Comparison, Probe, logits};
use crate::{Result, SurgeryError, gguf};

/// A program that runs exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Hugging Face's library, for folders.
    Transformers,
    /// llama.cpp through llama-cpp-python, for GGUF files.
    LlamaCpp,
}

impl Peer {
    /// What Python calls it, and what to install.
    fn packages(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Transformers => (&["torch", "transformers", "safetensors"], "transformers torch safetensors"),
            Self::LlamaCpp => (&["numpy", "llama_cpp"], "llama-cpp-python numpy"),
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Transformers => include_str!("../python/peer_transformers.py"),
            Self::LlamaCpp => include_str!("../python/peer_llama.py"),
        }
    }

    /// How close its logits must come, in units of the largest: llama.cpp rounds what it multiplies weights of 16 and
    /// fewer bits with, and looks GELU up in a table of half-precision numbers (ggml's `ggml-cpu/vec.h`,
    /// `GGML_GELU_FP16`).
    fn tolerance(self, exact: bool, with_gelu: bool) -> f32 {
        match (self, exact, with_gelu) {
            (Self::Transformers, ..) => 1e-4,
            (Self::LlamaCpp, true, false) => 1e-3,
            (Self::LlamaCpp, true, true) => 1e-2,
            (Self::LlamaCpp, false, _) => 0.05,
        }
    }
}

/// What a program found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The program and its version.
    pub version: String,
    /// Its logits beside the path's.
    pub comparison: Comparison,
}

/// Whether a Python has the program. To be asked before an export is written, which may take long.
///
/// # Errors
/// When there is no such Python, or it lacks a package; the message says what to install.
pub fn require(peer: Peer, python: &Path) -> Result<()> {
    // Looked for and not imported, which takes many seconds.
    const FIND: &str = "import importlib.util, sys\n\
                        missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]\n\
                        sys.exit('No module named ' + ', '.join(missing) if missing else 0)";
    let (modules, packages) = peer.packages();
    let checked = Command::new(python).args(["-c", FIND]).args(modules).stdin(Stdio::null()).output();
    let (shown, modules) = (python.display(), modules.join(", "));
    let problem = match checked {
        Ok(checked) if checked.status.success() => return Ok(()),
        Ok(checked) => {
            format!(
                "cannot import {modules} ({}); install them: {shown} -m pip install {packages}",
                last_line(&checked.stderr)
            )
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no such Python; name one with --python, and install in it: pip install {packages}")
        }
        Err(error) => return Err(SurgeryError::io("start Python", python)(error)),
    };
    Err(SurgeryError::place(python, problem))
}

/// What a program said last.
fn last_line(talk: &[u8]) -> String {
    let talk = String::from_utf8_lossy(talk);
    crate::error::shorten(talk.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing"))
}

/// Runs an export in another program and compares it with the path.
///
/// # Errors
/// When Python or the program is not there, or does not load the export.
pub fn compare(
    peer: Peer,
    python: &Path,
    out: &Path,
    source: &Arc<Checkpoint>,
    path: &LayerPath,
    probe: &Probe,
) -> Result<Found> {
    let is_gguf = out.is_file();
    if is_gguf != (peer == Peer::LlamaCpp) {
        let problem = "transformers reads folders (--to hf), llama.cpp GGUF files (--to gguf); compare with the other";
        return Err(SurgeryError::place(out, problem));
    }
    let written = Checkpoint::open(out).ok().map(Arc::new);
    let as_run = if peer == Peer::LlamaCpp { gguf::as_run(source)? } else { None };
    let (source, as_llama_cpp) = (as_run.as_ref().unwrap_or(source), as_run.is_some());
    let probe = &written.as_ref().map_or_else(|| probe.clone(), |written| probe.within(written));
    // What few bits take away is no difference between programs: both are to compute the same file.
    let expected = match written.as_ref().filter(|written| written.weights.is_quantised()) {
        Some(written) => logits(written, &LayerPath::baseline(written.config.num_layers())?, &probe.tokens)?,
        None => logits(source, path, &probe.tokens)?,
    };
    // Its own folder: another user could have put a link where a name in the common one can be guessed.
    let folder = tempfile::tempdir().map_err(SurgeryError::io("create a folder in", &std::env::temp_dir()))?;
    let file = folder.path().join("logits.f32");
    let (version, columns) = run(peer, python, out, probe, &file)?;
    let bytes = fs::read(&file).map_err(SurgeryError::io("read", &file))?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
    let found: Vec<Vec<f32>> = numbers.chunks(columns.max(1)).map(<[f32]>::to_vec).collect();
    let exact = written.as_ref().is_some_and(|written| written.weights.dtype_summary() == "F32");
    let is_gelu = |layer: &LayerConfig| matches!(layer.mlp.activation, Activation::Gelu | Activation::GeluTanh);
    let with_gelu = written.as_ref().is_some_and(|written| written.config.layers.iter().any(is_gelu));
    // Of few bits, what they are multiplied with is rounded to 8.
    let rounds = written.as_ref().is_some_and(|written| written.weights.is_quantised());
    let tolerance = peer.tolerance(exact, with_gelu) * if rounds { 2.0 } else { 1.0 };
    let probe = Probe { tolerance, ..probe.clone() };
    Ok(Found { version, comparison: Comparison { as_llama_cpp, ..probe.between(&expected, &found)? } })
}

/// Gives the program's version and the columns of what it wrote.
fn run(peer: Peer, python: &Path, out: &Path, probe: &Probe, file: &Path) -> Result<(String, usize)> {
    let tokens = Value::from(probe.tokens.clone()).to_string();
    let child = Command::new(python)
        .arg("-")
        .arg(out)
        .arg(tokens)
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(SurgeryError::io("start Python", python))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A Python that ends early says why on stderr.
        let _ = stdin.write_all(peer.script().as_bytes());
    }
    let output = child.wait_with_output().map_err(SurgeryError::io("run Python", python))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let answer: Option<Value> = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let facts = answer.as_ref().and_then(|answer| {
        let columns = answer.get("columns")?.as_u64().and_then(|columns| usize::try_from(columns).ok())?;
        Some((answer.get("version")?.as_str()?.to_owned(), columns))
    });
    facts.filter(|_| output.status.success()).ok_or_else(|| {
        let last = last_line(&output.stderr);
        SurgeryError::place(out, format!("does not run in this Python ({}): {last}", python.display()))
    })
}
