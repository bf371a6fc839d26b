//! What is measured so far, in memory and, for a run, on disk.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use neuro_record::{Row, RunData, RunInfo, RunWriter, Sample};

use crate::{Plan, Result};

/// Keeps rows and samples, and knows which are missing.
pub(crate) struct Recorder {
    writer: Option<RunWriter>,
    data: RunData,
    probes: Vec<Kept>,
}

/// What is kept of one probe.
struct Kept {
    name: String,
    /// For each path whether its row is there.
    rows: Vec<bool>,
    /// For each path and question, in the order in which they are asked, the place of its sample in [`RunData::samples`].
    samples: Vec<Vec<Option<usize>>>,
    /// For each question, in that order, whether the baseline's answer of unquantised weights is there.
    reference: Vec<bool>,
    /// Places of the questions in that order by their identifiers.
    questions: HashMap<String, usize>,
}

impl Recorder {
    /// Creates the run directory, or resumes the one that is there.
    pub(crate) fn open(plan: &Plan, dir: &Path) -> Result<Self> {
        let (writer, data) = RunWriter::open(dir, plan.info())?;
        Ok(Self::new(plan, Some(writer), data))
    }

    /// Keeps everything in memory only.
    pub(crate) fn memory(plan: &Plan) -> Self {
        let data = RunData { info: plan.info().clone(), rows: Vec::new(), samples: Vec::new(), reference: Vec::new() };
        Self::new(plan, None, data)
    }

    fn new(plan: &Plan, writer: Option<RunWriter>, data: RunData) -> Self {
        let paths: HashMap<&str, usize> = plan.printed.iter().map(String::as_str).zip(0..).collect();
        let kept = |(probe, order): (&neuro_probe::Probe, &Vec<usize>)| {
            let questions: HashMap<&str, usize> =
                order.iter().map(|&question| probe.questions()[question].id.as_str()).zip(0..).collect();
            let mut kept = Kept {
                name: probe.name().to_owned(),
                rows: vec![false; paths.len()],
                samples: vec![vec![None; questions.len()]; paths.len()],
                reference: vec![false; questions.len()],
                questions: questions.iter().map(|(id, &index)| ((*id).to_owned(), index)).collect(),
            };
            for sample in data.reference.iter().filter(|sample| sample.probe == kept.name) {
                if let Some(&question) = questions.get(sample.question.as_str()) {
                    kept.reference[question] = true;
                }
            }
            for row in data.rows.iter().filter(|row| row.probe == kept.name) {
                if let Some(&path) = paths.get(row.path.as_str()) {
                    kept.rows[path] = true;
                }
            }
            for (place, sample) in data.samples.iter().enumerate().filter(|(_, sample)| sample.probe == kept.name) {
                let at = paths.get(sample.path.as_str()).zip(questions.get(sample.question.as_str()));
                if let Some((&path, &question)) = at {
                    kept.samples[path][question] = Some(place);
                }
            }
            kept
        };
        let probes = plan.probes().iter().zip(&plan.order).map(kept).collect();
        Self { writer, data, probes }
    }

    /// The run's own description; that of an earlier process where the run is resumed.
    pub(crate) fn info(&self) -> &RunInfo {
        &self.data.info
    }

    /// Rows that are there.
    pub(crate) fn rows(&self) -> usize {
        self.probes.iter().map(|kept| kept.rows.iter().filter(|row| **row).count()).sum()
    }

    pub(crate) fn has_row(&self, probe: usize, path: usize) -> bool {
        self.probes[probe].rows[path]
    }

    /// Whether every question of the range has its sample.
    pub(crate) fn has_samples(&self, probe: usize, path: usize, range: Range<usize>) -> bool {
        self.probes[probe].samples[path][range].iter().all(Option::is_some)
    }

    /// The samples of a path on a range of questions, in their order; `None` while one is missing.
    pub(crate) fn samples(&self, probe: usize, path: usize, range: Range<usize>) -> Option<Vec<&Sample>> {
        let places = self.probes[probe].samples[path][range].iter();
        places.map(|place| place.map(|place| &self.data.samples[place])).collect()
    }

    /// Adds the samples of a unit, whose first question is `first`, and returns when they are safe. Those that are
    /// there already are left out.
    pub(crate) fn add_samples(&mut self, probe: usize, path: usize, first: usize, samples: Vec<Sample>) -> Result<()> {
        let kept = &mut self.probes[probe];
        let places = &mut kept.samples[path][first..];
        let (mut new, mut questions) = (Vec::new(), Vec::new());
        for (question, sample) in samples.into_iter().enumerate() {
            if places[question].is_none() {
                new.push(sample);
                questions.push(question);
            }
        }
        if let Some(writer) = &mut self.writer {
            writer.append_samples(&kept.name, &new)?;
        }
        for (question, sample) in questions.into_iter().zip(new) {
            places[question] = Some(self.data.samples.len());
            self.data.samples.push(sample);
        }
        Ok(())
    }

    /// Whether the baseline has answered the question with unquantised weights.
    pub(crate) fn has_reference(&self, probe: usize, question: usize) -> bool {
        self.probes[probe].reference[question]
    }

    /// Adds the baseline's samples of unquantised weights and returns when they are safe. Those that are there already are
    /// left out.
    pub(crate) fn add_reference(&mut self, probe: usize, mut samples: Vec<Sample>) -> Result<()> {
        let kept = &mut self.probes[probe];
        samples.retain(|sample| kept.questions.get(&sample.question).is_none_or(|&place| !kept.reference[place]));
        if let Some(writer) = &mut self.writer {
            writer.append_reference(&kept.name, &samples)?;
        }
        for sample in samples {
            if let Some(&question) = kept.questions.get(&sample.question) {
                kept.reference[question] = true;
            }
            self.data.reference.push(sample);
        }
        Ok(())
    }

    /// Adds a finished row and returns when it is safe.
    pub(crate) fn add_row(&mut self, probe: usize, path: usize, row: Row) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.append_row(&row)?;
        }
        self.probes[probe].rows[path] = true;
        self.data.rows.push(row);
        Ok(())
    }

    pub(crate) fn into_data(self) -> RunData {
        self.data
    }
}
