//! What a scan is asked to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use neuro_path::{LayerPath, triangle};
use neuro_probe::{Count, PhantomWorld, Probe, ProbeFile, ProbeRequest, Role};
use neuro_record::Planted;
use neuro_stats::DEEPEST;

use crate::{Result, ScanError, Subject};

/// The probe of a model when none is named.
pub const DEFAULT_PROBE: &str = "math:likelihood";
/// The probe of a phantom when none is named.
pub const PHANTOM_PROBE: &str = "phantom";
/// Number of questions when none is named; a phantom's own probe then asks everything, since its question space is
/// finite.
pub const DEFAULT_QUESTIONS: usize = 32;

/// The same for a screening, which under about 24 questions cannot stay within its budget and decides better with more.
pub const SCREENED_QUESTIONS: usize = 64;

/// The part of the full scan's layer-tokens that a screening may take, usually.
pub const SCREENING: f64 = 0.2;

/// Which paths are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    /// The baseline and every block `(i, j)`.
    Triangle,
    /// These, each once, in this order.
    List(Vec<LayerPath>),
}

/// What to measure. The default is the whole triangle with the model's default probe.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// The paths.
    pub paths: Paths,
    /// Whether a list of paths gets the baseline in front when it lacks it, so that deltas exist.
    pub include_baseline: bool,
    /// Probes by name with scoring, such as `math:likelihood`; `NAME=FILE` where one is built from a file. Empty:
    /// [`PHANTOM_PROBE`] for a phantom, else [`DEFAULT_PROBE`].
    pub probes: Vec<String>,
    /// What is in those files, by the FILE of the probe; and in those that [`neuro_probe::examples_of`] names for them.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Questions of each probe. `None`: every question of a phantom's own probe, else [`DEFAULT_QUESTIONS`], or
    /// [`SCREENED_QUESTIONS`] for a screening.
    pub questions: Option<Count>,
    /// Lets paths race over the questions of each probe, so that only the best answer all of them: the most that it may
    /// take of the full scan's layer-tokens, above 0 and up to 1, usually [`SCREENING`]. `None`: all answer everything.
    pub screen: Option<f64>,
    /// Whether the baseline is measured once more in f32 where the weights are quantised: what their type does.
    pub type_effect: bool,
    /// Seed of the questions.
    pub seed: u64,
    /// What the questions are for.
    pub role: Role,
    /// Memory that the process may use beside mapped files, in bytes: weights, states, and what is being computed.
    /// `None`: from what the machine has free.
    pub memory_bytes: Option<u64>,
    /// What a phantom was taught.
    pub phantom: Option<PhantomWorld>,
    /// Where the model was found, so that a later command finds it again.
    pub source: Option<String>,
    /// What is planted in a phantom.
    pub planted: Option<Planted>,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self {
            paths: Paths::Triangle,
            include_baseline: true,
            probes: Vec::new(),
            files: BTreeMap::new(),
            questions: None,
            screen: None,
            type_effect: true,
            seed: 0,
            role: Role::Search,
            memory_bytes: None,
            phantom: None,
            source: None,
            planted: None,
        }
    }
}

impl ScanRequest {
    /// The probes, defaults filled in.
    pub(crate) fn probe_names(&self) -> Vec<String> {
        if !self.probes.is_empty() {
            return self.probes.clone();
        }
        vec![if self.phantom.is_some() { PHANTOM_PROBE } else { DEFAULT_PROBE }.to_owned()]
    }

    /// Builds a probe of [`Self::probe_names`].
    pub(crate) fn probe(&self, named: &str) -> Result<Probe> {
        let (name, file) = named.split_once('=').map_or((named, None), |(name, file)| (name, Some(file)));
        let file = match file {
            Some(file) => match ProbeFile::of(name, file, |file| self.files.get(file).cloned()) {
                None => return Err(ScanError::ProbeFile { probe: name.to_owned(), file: file.to_owned() }),
                found => found,
            },
            None => None,
        };
        let request = ProbeRequest {
            count: self.count(name),
            seed: self.seed,
            role: self.role,
            phantom: self.phantom.clone(),
            file,
        };
        Ok(Probe::build(name, &request)?)
    }

    /// How many questions of the probe are asked.
    fn count(&self, probe: &str) -> Count {
        let own = probe.split(':').next() == Some(PHANTOM_PROBE);
        let some = if self.screen.is_some() { SCREENED_QUESTIONS } else { DEFAULT_QUESTIONS };
        self.questions.unwrap_or(if own { Count::All } else { Count::Some(some) })
    }

    /// The paths in the order in which they are measured: the baseline first where it is wanted, none twice.
    pub(crate) fn ordered_paths(&self, subject: &Subject) -> Result<Vec<LayerPath>> {
        let depth = subject.depth();
        let Paths::List(paths) = &self.paths else {
            // Blocks grow with the square of the depth: refused before a single one is written out.
            if depth > DEEPEST {
                let (model, found) = (subject.name().to_owned(), depth);
                return Err(ScanError::TooDeep { model, found, limit: DEEPEST });
            }
            return Ok(triangle(depth).map(|block| block.path(depth)).collect::<std::result::Result<_, _>>()?);
        };
        if paths.is_empty() {
            return Err(ScanError::NoPaths);
        }
        let mut seen = std::collections::HashSet::new();
        let baseline = if self.include_baseline { Some(LayerPath::baseline(depth)?) } else { None };
        // A baseline that the list names itself comes first as well: deltas then exist from the second row on.
        let baseline = baseline.or_else(|| paths.iter().find(|path| path.is_baseline()).cloned());
        let mut ordered = Vec::with_capacity(paths.len() + 1);
        for path in baseline.iter().chain(paths) {
            if path.depth() != depth {
                let (path, found, model) = (path.to_string(), path.depth(), subject.name().to_owned());
                return Err(ScanError::PathDepth { path, found, model, expected: depth });
            }
            if seen.insert(path) {
                ordered.push(path.clone());
            }
        }
        Ok(ordered)
    }
}
