//! What a run already holds: which rows, which samples, and where they stand.

use std::collections::HashMap;

use neuro_path::LayerPath;

use crate::check::{check_row_values, check_sample_values};
use crate::{Row, RunInfo, Sample};

/// Keys of rows and samples as small numbers; with 100,000 samples, texts as keys would cost more than the samples.
#[derive(Debug)]
pub(crate) struct Index {
    depth: usize,
    is_screened: bool,
    is_imported: bool,
    /// Number of questions by probe name.
    probes: HashMap<String, (u32, usize)>,
    paths: HashMap<String, u32>,
    questions: HashMap<String, u32>,
    rows: HashMap<(u32, u32), usize>,
    samples: HashMap<(u32, u32, u32), usize>,
    counts: HashMap<(u32, u32), usize>,
}

impl Index {
    pub(crate) fn new(info: &RunInfo) -> Self {
        let probes =
            info.probes.iter().zip(0..).map(|(probe, id)| (probe.name.clone(), (id, probe.questions))).collect();
        Self {
            depth: info.model.layers,
            is_screened: info.screen.is_some(),
            is_imported: info.is_imported(),
            probes,
            paths: HashMap::new(),
            questions: HashMap::new(),
            rows: HashMap::new(),
            samples: HashMap::new(),
            counts: HashMap::new(),
        }
    }

    /// Why this row cannot belong to the run, or `Ok`.
    pub(crate) fn check_row(&self, row: &Row) -> Result<(), String> {
        let questions = self.questions_of(&row.probe)?;
        let path = self.check_path(&row.path)?;
        if row.screened.is_some() && !self.is_screened {
            return Err("screened is there, but run.json says of no screening".to_owned());
        }
        check_row_values(row, &path, questions)
    }

    /// Why this sample cannot belong to the run, or `Ok`.
    pub(crate) fn check_sample(&self, sample: &Sample) -> Result<(), String> {
        self.questions_of(&sample.probe)?;
        // Parsed once per path, not once per sample.
        if !self.paths.contains_key(&sample.path) {
            self.check_path(&sample.path)?;
        }
        check_sample_values(sample)
    }

    /// Position of the row with the same path and probe.
    pub(crate) fn row(&self, row: &Row) -> Option<usize> {
        self.rows.get(&self.pair(&row.path, &row.probe)?).copied()
    }

    /// Position of the sample with the same path, probe and question.
    pub(crate) fn sample(&self, sample: &Sample) -> Option<usize> {
        let (path, probe) = self.pair(&sample.path, &sample.probe)?;
        self.samples.get(&(path, probe, *self.questions.get(&sample.question)?)).copied()
    }

    /// Whether the row of this path and probe is written.
    pub(crate) fn is_complete(&self, path: &str, probe: &str) -> bool {
        self.pair(path, probe).is_some_and(|pair| self.rows.contains_key(&pair))
    }

    /// Whether rows may come without samples.
    pub(crate) fn is_imported(&self) -> bool {
        self.is_imported
    }

    /// Number of samples of a path on a probe.
    pub(crate) fn sample_count(&self, path: &str, probe: &str) -> usize {
        self.pair(path, probe).and_then(|pair| self.counts.get(&pair)).copied().unwrap_or(0)
    }

    pub(crate) fn add_row(&mut self, row: &Row, position: usize) {
        if let Some(pair) = self.intern_pair(&row.path, &row.probe) {
            self.rows.insert(pair, position);
        }
    }

    pub(crate) fn add_sample(&mut self, sample: &Sample, position: usize) {
        if let Some((path, probe)) = self.intern_pair(&sample.path, &sample.probe) {
            let question = intern(&mut self.questions, &sample.question);
            self.samples.insert((path, probe, question), position);
            *self.counts.entry((path, probe)).or_insert(0) += 1;
        }
    }

    fn questions_of(&self, probe: &str) -> Result<usize, String> {
        match self.probes.get(probe) {
            Some((_, questions)) => Ok(*questions),
            None => Err(format!("probe `{probe}` is not one of the run's probes in run.json")),
        }
    }

    fn check_path(&self, text: &str) -> Result<LayerPath, String> {
        let path = LayerPath::parse(text, self.depth).map_err(|error| error.to_string())?;
        let printed = path.to_string();
        // Another spelling of the same path would hide a duplicate.
        if printed == text { Ok(path) } else { Err(format!("path is `{text}`, expected its printed map `{printed}`")) }
    }

    fn pair(&self, path: &str, probe: &str) -> Option<(u32, u32)> {
        Some((*self.paths.get(path)?, self.probes.get(probe)?.0))
    }

    fn intern_pair(&mut self, path: &str, probe: &str) -> Option<(u32, u32)> {
        let probe = self.probes.get(probe)?.0;
        Some((intern(&mut self.paths, path), probe))
    }
}

fn intern(names: &mut HashMap<String, u32>, name: &str) -> u32 {
    if let Some(&id) = names.get(name) {
        return id;
    }
    // Four billion different names do not fit into memory.
    let id = u32::try_from(names.len()).unwrap_or(u32::MAX);
    names.insert(name.to_owned(), id);
    id
}
