//! A run's confirmation, for the terminal, the page and one JSON document. Numbers come from `stats` and `record`.

use std::path::Path;

use neuro_record::{CONFIRM_FOLDER, ConfirmData, finalists_hash, later_confirmations};
use neuro_report::{ColorLevel, Confirmation, html_with_confirmation};
use neuro_stats::{
    Corrected, Effect, Failures, Judge, LEVEL, PathVerdict, VerdictOptions, evidence, overhead, verdict,
};
use serde_json::{Value, json};

use crate::results::interval;

/// A confirmation with its verdicts.
#[derive(Debug)]
pub(crate) struct Confirmed {
    data: ConfirmData,
    /// None while something is not measured yet.
    verdicts: Option<Vec<PathVerdict>>,
    /// Confirmations of the run that came later.
    later: usize,
}

impl Confirmed {
    /// Judges what is there.
    ///
    /// # Errors
    /// When the files contradict themselves.
    pub(crate) fn new(data: ConfirmData) -> anyhow::Result<Self> {
        let seed = data.finalists.settings.get("seed").and_then(Value::as_u64).unwrap_or(0);
        let options = VerdictOptions { seed, ..VerdictOptions::default() };
        let verdicts = evidence(&data)?.map(|evidence| verdict(&evidence, &options));
        Ok(Self { data, verdicts, later: 0 })
    }

    /// The same, with what the ledger of `run` says of confirmations behind the one in `folder`.
    ///
    /// # Errors
    /// When the ledger or the folder is damaged.
    pub(crate) fn among(self, run: &Path, folder: &Path) -> anyhow::Result<Self> {
        let own = finalists_hash(folder)?;
        let later = own.map(|own| later_confirmations(run, &own)).transpose()?.unwrap_or(0);
        Ok(Self { later, ..self })
    }

    /// The confirmation in a run's own folder; none where it has none.
    ///
    /// # Errors
    /// When its files are damaged or contradict themselves.
    pub(crate) fn of_run(run: &Path) -> anyhow::Result<Option<Self>> {
        let folder = run.join(CONFIRM_FOLDER);
        let confirmed = ConfirmData::read(&folder)?.map(Self::new).transpose()?;
        confirmed.map(|confirmed| confirmed.among(run, &folder)).transpose()
    }

    fn view(&self) -> Confirmation<'_> {
        Confirmation { data: &self.data, verdicts: self.verdicts.as_deref(), later: self.later }
    }

    /// Whether everything is measured, so that there are verdicts.
    pub(crate) fn is_complete(&self) -> bool {
        self.verdicts.is_some()
    }

    /// What was found of one path, a sentence each, the verdict first; none where it is not judged.
    pub(crate) fn sentences(&self, path: &str) -> Option<Vec<String>> {
        self.view().sentences(path)
    }

    /// The verdict in plain words.
    pub(crate) fn paragraph(&self) -> String {
        self.view().paragraph()
    }

    /// One line for each finalist, and what stands behind it.
    pub(crate) fn table(&self, color: ColorLevel) -> String {
        self.view().table(color)
    }

    /// The page with the verdict in front.
    pub(crate) fn html(&self, page: &str) -> String {
        html_with_confirmation(page, &self.view())
    }

    /// What was fixed, and the verdicts.
    pub(crate) fn json(&self) -> Value {
        let fixed = &self.data.finalists;
        let verdicts = self.verdicts.as_ref();
        let questions = self.data.questions.as_ref();
        json!({
            "complete": verdicts.is_some(),
            "paragraph": self.paragraph(),
            "probe": fixed.probe,
            "search": fixed.search,
            "settings": fixed.settings,
            "law": law(),
            "verdicts": verdicts.map(|verdicts| verdicts.iter().map(|found| self.one(found)).collect::<Vec<_>>()),
            "skipped": questions.map(|sets| &sets.skipped),
            "earlier": questions.and_then(|sets| sets.earlier.as_ref()),
            "later": self.later,
            "question_sets": questions.map(|sets| {
                let set = |set: &neuro_record::QuestionSet| {
                    json!({ "role": set.role, "probe": set.probe, "questions": set.questions.len() })
                };
                sets.sets.iter().map(set).collect::<Vec<_>>()
            }),
        })
    }

    fn one(&self, found: &PathVerdict) -> Value {
        let fixed = &self.data.finalists;
        let path = neuro_path::LayerPath::parse(&found.path, fixed.model.layers).ok();
        let finalist = fixed.finalists.iter().find(|finalist| finalist.path == found.path);
        let costs = &self.data.costs;
        json!({
            "path": found.path,
            "block": path.as_ref().and_then(|path| path.block()).map(|block| [block.start, block.end]),
            "overhead": path.as_ref().map(overhead),
            "verdict": found.verdict.name(),
            "is_seen": found.is_seen,
            "reasons": found.reasons,
            "caveats": found.caveats,
            "judge": found.judge.name(),
            "effect": found.effect.as_ref().map(effect),
            "failures": found.failures.as_ref().map(failures),
            "corrected_p": found.corrected.map(|corrected| corrected.p),
            "corrected_for": corrected_for(found.corrected, "finalists"),
            "visible": found.visible,
            "controls": {
                "paths": found.controls.n,
                "mark": found.controls.mark,
                "is_percentile": found.controls.is_percentile,
                "is_above": found.controls.is_above,
            },
            "others": found.others.iter().map(|other| json!({
                "judge": other.judge.name(),
                "probe": other.probe,
                "effect": other.effect.as_ref().map(effect),
                "failures": other.failures.as_ref().map(failures),
                "corrected_p": other.corrected.map(|corrected| corrected.p),
                "corrected_for": corrected_for(other.corrected, match other.judge {
                    Judge::Guard => "guards of all finalists",
                    _ => "second judges of this path",
                }),
                "is_below": other.is_below,
                "is_above": other.is_above,
                "is_doubt": other.is_doubt,
            })).collect::<Vec<_>>(),
            "shams": found.shams.iter().map(|sham| json!({
                "kind": sham.kind, "path": sham.path, "delta": sham.delta,
            })).collect::<Vec<_>>(),
            "cost": costs.iter().find(|cost| cost.path == found.path),
            "baseline_cost": costs.first(),
            "finalist": finalist,
        })
    }
}

/// The numbers of the law that verdicts are reached by.
fn law() -> Value {
    let VerdictOptions { alpha, resamples, permutations, enough_controls, power, .. } = VerdictOptions::default();
    json!({
        "alpha": alpha,
        "interval": LEVEL,
        "resamples": resamples,
        "permutations": permutations,
        "enough_controls": enough_controls,
        "power": power,
    })
}

/// The family of a corrected p, `{"tests": 5, "of": "finalists", "method": "Holm", "times": 1}`: `times` is what Holm's p is
/// multiplied by because the run was confirmed before.
fn corrected_for(corrected: Option<Corrected>, of: &str) -> Value {
    corrected.map_or(
        Value::Null,
        |Corrected { family, times, .. }| json!({ "tests": family, "of": of, "method": "Holm", "times": times }),
    )
}

fn effect(effect: &Effect) -> Value {
    json!({
        "questions": effect.n,
        "baseline": effect.baseline,
        "score": effect.path,
        "delta": effect.delta,
        "interval": interval(effect.interval.as_ref()),
        "wins": effect.wins,
        "losses": effect.losses,
        "p": effect.p,
        "test": effect.test.name(),
    })
}

fn failures(failures: &Failures) -> Value {
    json!({
        "baseline": failures.baseline,
        "path": failures.path,
        "p": failures.p,
        "answered": failures.answered.as_ref().map(effect),
    })
}
