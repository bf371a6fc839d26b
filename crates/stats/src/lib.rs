//! WHAT IT MEANS: deltas, intervals, ranking. Pure functions over rows and samples.
//!
//! A [`BlockMap`] is a run's triangle of blocks on one probe, with the delta of each block to the baseline, paired by
//! question, and a bootstrap interval. This room measures nothing, and what was not measured stays `None`.
//!
//! Its sharpest edge: the best of thousands of cells is high by chance alone. The intervals here belong to one cell,
//! not to the best of many, so a ranking names candidates and never a gain.

mod best_of;
mod binomial;
mod bootstrap;
mod chance;
mod combined;
mod compare;
mod effect;
mod error;
mod flips;
mod gather;
mod map;
mod max_t;
mod mcnemar;
mod multiplicity;
mod normal;
mod overhead;
mod permutation;
mod planted;
mod power;
mod proportions;
mod race;
mod rank;
mod row_deltas;
mod skyline;
mod student;
mod type_effect;
mod verdict;

pub use best_of::expected_best;
pub use bootstrap::{Delta, Interval, LEVEL, Resampler, ScoreKind, paired_delta};
pub use chance::{Chance, SWAPS};
pub use combined::combined_map;
pub use compare::{ALPHA, Shown, TaskComparison, compare, comparison_in_words};
pub use effect::{Effect, PairedTest, Resampling};
pub use error::StatsError;
pub use map::{BlockMap, Cell, DEEPEST, Dropped, RESAMPLES};
pub use max_t::{MaxT, max_t};
pub use mcnemar::mcnemar;
pub use multiplicity::{benjamini_hochberg, holm};
pub use overhead::overhead;
pub use permutation::{Permutation, Tail, paired_permutation};
pub use planted::{OVERLAP, PlantedVerdict, planted_verdict};
pub use power::{
    POWER, power_mean, power_proportions, questions_for_mean, questions_for_proportions, visible_mean,
    visible_proportion,
};
pub use proportions::{Carried, tango, wilson};
pub use race::{Race, RaceError, RaceOptions, Stage, question_order};
pub use rank::{Spearman, spearman};
pub use row_deltas::{RowDelta, row_deltas};
pub use skyline::Skyline;
pub use type_effect::{TypeEffect, type_effect};
pub use verdict::{
    ControlCheck, Corrected, Evidence, Failures, FinalistEvidence, Judge, OtherEffect, OtherEvidence, Paired,
    PathVerdict, ShamDelta, Verdict, VerdictOptions, digits_of_p, evidence, signed_delta, verdict,
};
