//! The studies of the calibration, each a section of its page with what is demanded of it.
//!
//! A test asks the same of smaller studies: `tests/calibration.rs`.

pub(crate) mod answers;
pub(crate) mod coverage;
pub(crate) mod graded;
pub(crate) mod null;
pub(crate) mod planted;
pub(crate) mod power;
pub(crate) mod size;
pub(crate) mod whole;

use neuro_stats::{Interval, VerdictOptions, wilson};

use answers::Answers;

/// Finalists of one confirmation, as `neuro confirm` has them by default.
pub(crate) const FINALISTS: usize = 5;
/// Fresh questions of one confirmation, as `neuro confirm` asks by default.
pub(crate) const QUESTIONS: usize = 200;
/// Questions of the search that chooses the finalists.
pub(crate) const SEARCH_QUESTIONS: usize = 64;
/// At most this share of confirmations may call a gain that is none.
pub(crate) const WRONG: f64 = 0.05;
/// Share of intervals that hold the truth: of bootstraps at least and at most, of score intervals at least the first.
pub(crate) const COVERED: [f64; 2] = [0.93, 0.97];

/// How many seeds each study takes, and how a verdict is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Confirmations of each phantom, of paths that gain nothing.
    pub(crate) size: u64,
    /// Null scans of both phantoms together.
    pub(crate) scans: u64,
    /// Confirmations for each true delta and number of questions.
    pub(crate) power: u64,
    /// Confirmations of the planted block.
    pub(crate) planted: u64,
    /// Draws of questions for each path.
    pub(crate) coverage: u64,
    /// Null scans of each phantom and kind of graded score.
    pub(crate) graded: u64,
    /// Resamples of an interval of a map; a verdict's are in the options.
    pub(crate) resamples: usize,
    pub(crate) options: VerdictOptions,
}

impl Effort {
    /// What the page is made with.
    #[allow(dead_code, reason = "the test makes smaller studies")]
    pub(crate) const FULL: Self = Self {
        size: 200,
        scans: 1_000,
        power: 400,
        planted: 20,
        coverage: 200,
        graded: 200,
        resamples: 1_000,
        options: VerdictOptions {
            alpha: 0.05,
            resamples: 2_000,
            permutations: 10_000,
            seed: 0,
            enough_controls: 20,
            power: 0.8,
        },
    };

    pub(crate) fn options(&self, seed: u64) -> VerdictOptions {
        VerdictOptions { seed, ..self.options }
    }
}

/// Something that the instrument promises, and whether it was found.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(crate) what: String,
    pub(crate) demanded: String,
    pub(crate) found: String,
    pub(crate) holds: bool,
}

impl Demand {
    /// Wrong gains are rare.
    pub(crate) fn rare(what: impl Into<String>, wrong: usize, of: usize) -> Self {
        let holds = of > 0 && wrong as f64 <= WRONG * of as f64;
        Self { what: what.into(), demanded: "at most 5 %".to_owned(), found: share(wrong, of), holds }
    }

    /// Every time.
    pub(crate) fn always(what: impl Into<String>, found: usize, of: usize) -> Self {
        let holds = of > 0 && found == of;
        Self { what: what.into(), demanded: format!("{of} of {of}"), found: share(found, of), holds }
    }

    /// Intervals hold the truth; of bootstraps, not much more often than they say.
    pub(crate) fn covered(what: impl Into<String>, covered: usize, of: usize, is_bootstrap: bool) -> Self {
        let [low, high] = COVERED;
        let found = covered as f64 / of as f64;
        let (demanded, high) = if is_bootstrap { ("93 % to 97 %", high) } else { ("at least 93 %", 1.0) };
        let holds = of > 0 && (low..=high).contains(&found);
        Self { what: what.into(), demanded: demanded.to_owned(), found: share(covered, of), holds }
    }

    /// A power that was stated before lies in Wilson's interval of what was found.
    pub(crate) fn stated(what: impl Into<String>, stated: f64, found: usize, of: usize) -> Self {
        let holds = wilson(found, of).is_some_and(|bounds| bounds.low <= stated && stated <= bounds.high);
        let demanded = format!("an interval with {:.1} %", 100.0 * stated);
        Self { what: what.into(), demanded, found: share(found, of), holds }
    }
}

/// A part of the page.
pub(crate) struct Section {
    pub(crate) page: String,
    pub(crate) demands: Vec<Demand>,
}

/// What the study is about, and the phantoms.
#[allow(dead_code, reason = "the test prints no page")]
pub(crate) fn introduction(phantoms: &[Answers]) -> String {
    let mut page = String::from(
        "# Calibration\n\n\
         What the statistics promise, held against models of which everything is known. `just calibrate` makes this page; every number on\n\
         it is that command's output, and the command fails where something that is demanded was not found.\n\n\
         Both phantoms have a finite space of questions. All answers along the baseline and all blocks were computed once, so every\n\
         path's true delta is known. The study draws questions from them with replacement, as from a population, and asks the same\n\
         functions that `neuro scan` and `neuro confirm` use. Seeds are the numbers from 0 on: the same answers give the same page.\n\n\
         | phantom | questions | paths | baseline | true deltas below 0 | 0 | above 0 | largest | model hash |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for phantom in phantoms {
        let deltas: Vec<f64> = phantom.paths.iter().map(|path| path.delta()).collect();
        let count = |wanted: fn(f64) -> bool| deltas.iter().filter(|&&delta| wanted(delta)).count();
        page.push_str(&format!(
            "| {} | {} | {} | {:.4} | {} | {} | {} | {:+.4} | `{}` |\n",
            phantom.name,
            phantom.questions(),
            deltas.len() + 1,
            phantom.baseline.iter().sum::<f64>() / phantom.questions() as f64,
            count(|delta| delta < 0.0),
            count(|delta| delta == 0.0),
            count(|delta| delta > 0.0),
            deltas.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            &phantom.hash[..phantom.hash.len().min(12)],
        ));
    }
    page
}

/// Everything that is demanded, in one table.
#[allow(dead_code, reason = "the test prints no page")]
pub(crate) fn demands_table(demands: &[&Demand]) -> String {
    let mut page = String::from(
        "\n## Demanded and found\n\n\
         A share stands with Wilson's interval of 95 %. A power holds where that interval has what was stated before anything was drawn.\n\n\
         | what | demanded | found | holds |\n|---|---|---|---|\n",
    );
    for Demand { what, demanded, found, holds } in demands {
        page.push_str(&format!("| {what} | {demanded} | {found} | {} |\n", if *holds { "yes" } else { "**no**" }));
    }
    page
}

/// `3 of 200, 1.5 % [0.5 %, 4.3 %]`, with Wilson's interval.
pub(crate) fn share(count: usize, of: usize) -> String {
    let Some(Interval { low, high }) = wilson(count, of) else { return format!("{count} of {of}") };
    let percent = 100.0 * count as f64 / of as f64;
    format!("{count} of {of}, {percent:.1} % [{:.1} %, {:.1} %]", 100.0 * low, 100.0 * high)
}
