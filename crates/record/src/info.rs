//! `run.json`: what was measured, with what, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::files::samples_file;

/// Version of the run directory's format. A reader refuses a higher one.
pub const SCHEMA: u32 = 1;

/// Key of [`RunInfo::settings`] for where the model was found; another program finds it there again.
pub const SOURCE: &str = "source";
/// Key of [`RunInfo::settings`] under which an imported run says where its rows come from.
pub const IMPORTED: &str = "imported";

/// The content of `run.json`: the origin of every number in the run, and the plan that a resumed run follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Format version, [`SCHEMA`] when written by this program.
    pub schema: u32,
    /// Program and version, for example `neuro 0.1.0`.
    pub tool: String,
    /// When the run was created, RFC 3339.
    pub created: String,
    /// The scanned model.
    pub model: ModelInfo,
    /// Hash of the tokenizer; none where the model has none.
    pub tokenizer_hash: Option<String>,
    /// Hash of the chat template; none where prompts are plain text.
    pub template_hash: Option<String>,
    /// Number type of the computation, for example `f32`.
    pub compute: String,
    /// Kind of device that computed, for example `cpu`; nothing that varies between two starts on one machine.
    pub device: String,
    /// The probes, in the order in which they are asked; names are unique.
    pub probes: Vec<ProbeInfo>,
    /// Seed of the questions and of every bootstrap.
    pub seed: u64,
    /// Everything else that changes results, by the name of its flag.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Which paths are measured, in which portions.
    pub plan: Plan,
    /// How paths were screened; none where every path answers every question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<Screen>,
    /// What is planted in the model, if it is a phantom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phantom: Option<Planted>,
}

impl RunInfo {
    /// Whether another program measured the rows ([`IMPORTED`] among the settings). Such rows have no samples.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.settings.contains_key(IMPORTED)
    }

    /// The probe of this name.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<&ProbeInfo> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// Why this cannot head a run, or `Ok`: no layers, no probes, or probes that share a name or a file.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.model.layers == 0 || self.model.layers > neuro_path::MAX_VISITS {
            return Err(format!("model.layers is {}, expected 1 to {}", self.model.layers, neuro_path::MAX_VISITS));
        }
        if self.probes.is_empty() {
            return Err("probes is empty, expected at least one".to_owned());
        }
        let mut files = BTreeSet::new();
        for probe in &self.probes {
            if probe.name.is_empty() {
                return Err("a probe has an empty name".to_owned());
            }
            // Compared without case, since Windows and macOS see one file in two such names.
            if !files.insert(samples_file(&probe.name).to_lowercase()) {
                return Err(format!(
                    "probe `{}` would share the file {} with another probe",
                    probe.name,
                    samples_file(&probe.name)
                ));
            }
        }
        if !self.plan.chunks.is_empty() && self.plan.chunks.len() != self.probes.len() {
            return Err(format!(
                "plan.chunks has {} lists, expected one for each of the {} probes",
                self.plan.chunks.len(),
                self.probes.len()
            ));
        }
        for (probe, chunks) in self.probes.iter().zip(&self.plan.chunks) {
            for [start, end] in chunks {
                if start >= end || *end > probe.questions {
                    return Err(format!(
                        "plan.chunks of probe `{}` has [{start}, {end}], expected a half-open range within its {} questions",
                        probe.name, probe.questions
                    ));
                }
            }
        }
        self.screen.as_ref().map_or(Ok(()), |screen| screen.check(&self.probes))
    }
}

/// The scanned model: `checkpoint`'s identity, and what a reader wants to know about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name for people, for example the folder's; it does not change results.
    pub id: String,
    /// Hash of configuration and weights.
    pub hash: String,
    /// The configuration's `model_type`.
    pub model_type: String,
    /// Number of layers, the depth of every path in the run.
    pub layers: usize,
    /// Number of parameters.
    pub parameters: u64,
    /// Number type of the stored weights.
    pub dtype: String,
    /// Seed of the weights when they are random instead of trained.
    pub random_weights: Option<u64>,
}

/// One probe of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeInfo {
    /// Name with scoring, for example `math:likelihood`.
    pub name: String,
    /// Name, version and parameters of the question set.
    pub id: String,
    /// Hash over questions, keys and scorer.
    pub hash: String,
    /// Number of questions.
    pub questions: usize,
}

/// What is measured, and in which portions. A resumed run follows the stored plan, so that its scores equal those of
/// an uninterrupted run on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The paths, in order.
    pub paths: PlannedPaths,
    /// For each probe (in the order of [`RunInfo::probes`]) its chunks: half-open ranges `[start, end)` of question indices. Empty: no chunks,
    /// as in a screened run, whose portions follow from its samples and from `memory_bytes`.
    pub chunks: Vec<Vec<[usize; 2]>>,
    /// For each probe the groups of paths that are run together: half-open ranges `[start, end)` of the paths in their
    /// order. Empty: every path alone.
    #[serde(default)]
    pub groups: Vec<Vec<[usize; 2]>>,
    /// Memory that the states may use, in bytes.
    pub memory_bytes: u64,
    /// What the process that made the plan counted of it as held whatever runs, in bytes: what it held before, what its threads
    /// keep, samples and report.
    #[serde(default)]
    pub held_bytes: u64,
    /// Of each probe on which the baseline in f32 finds no room in `memory_bytes`, so that the effect of the weights' type is not
    /// measured: bytes that it needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reference_needs: BTreeMap<String, u64>,
}

/// A race of paths over questions: everybody answers the first ones, the best go on, and the finalists answer all. From
/// this and the samples follows who goes on, so a resumed run decides as an uninterrupted one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Screen {
    /// Fraction of the paths that is wanted.
    pub keep: f64,
    /// Most of the full scan's layer-tokens that may be spent, as a fraction.
    pub budget: f64,
    /// Finalists that the looks plan for, as a multiple of `keep`.
    pub finalists: f64,
    /// The race of each probe, in the order of [`RunInfo::probes`].
    pub probes: Vec<ScreenedProbe>,
}

/// What the race of one probe has of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScreenedProbe {
    /// Questions that a path has seen at each look, as fractions of all, ascending.
    pub looks: Vec<f64>,
    /// Indices of the questions in the order in which they are asked.
    pub order: Vec<usize>,
}

impl Screen {
    /// Why this screens no run with these probes, or `Ok`.
    fn check(&self, probes: &[ProbeInfo]) -> Result<(), String> {
        if self.probes.len() != probes.len() {
            let (found, expected) = (self.probes.len(), probes.len());
            return Err(format!("screen.probes has {found} entries, expected one for each of the {expected} probes"));
        }
        for (probe, screened) in probes.iter().zip(&self.probes) {
            let mut order = screened.order.clone();
            order.sort_unstable();
            if order.len() != probe.questions || order.iter().enumerate().any(|(place, &question)| place != question) {
                return Err(format!(
                    "screen.probes: the order of probe `{}` does not name each of its {} questions once",
                    probe.name, probe.questions
                ));
            }
        }
        Ok(())
    }
}

/// The paths of a plan: in JSON the string `"triangle"`, or a list of inclusive maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedPaths {
    /// The baseline and every block of the model.
    Triangle,
    /// These paths, printed as inclusive maps.
    List(Vec<String>),
}

const TRIANGLE: &str = "triangle";

impl Serialize for PlannedPaths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Triangle => serializer.serialize_str(TRIANGLE),
            Self::List(paths) => paths.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PlannedPaths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Word(String),
            List(Vec<String>),
        }
        match Spelling::deserialize(deserializer)? {
            Spelling::Word(word) if word == TRIANGLE => Ok(Self::Triangle),
            Spelling::Word(word) => {
                Err(D::Error::custom(format!("plan.paths is \"{word}\", expected \"{TRIANGLE}\" or a list of paths")))
            }
            Spelling::List(paths) => Ok(Self::List(paths)),
        }
    }
}

/// The circuit planted in a phantom, which the map should find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// The planted block `[i, j]`, half-open.
    pub block: [usize; 2],
    /// The group of questions that needs one more pass through it.
    pub group: String,
}
