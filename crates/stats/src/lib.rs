//! WHAT IT MEANS: deltas, intervals, ranking. Pure functions over rows and samples.
//!
//! A [`BlockMap`] is a run's triangle of blocks on one probe, with the delta of each block to the baseline, paired by
//! question, and a bootstrap interval. This room measures nothing, and what was not measured stays `None`.
//!
//! Its sharpest edge: the best of thousands of cells is high by chance alone. The intervals here belong to one cell,
//! not to the best of many, so a ranking names candidates and never a gain.

mod bootstrap;
mod error;
mod gather;
mod map;
mod normal;
mod overhead;
mod planted;
mod race;
mod skyline;
mod type_effect;
mod verdict;

pub use bootstrap::{Delta, Interval, LEVEL, Resampler, paired_delta};
pub use error::StatsError;
pub use map::{BlockMap, Cell, DEEPEST, Dropped, RESAMPLES};
pub use overhead::overhead;
pub use planted::{OVERLAP, PlantedVerdict, planted_verdict};
pub use race::{Race, RaceError, RaceOptions, Stage, question_order};
pub use skyline::Skyline;
pub use type_effect::{TypeEffect, type_effect};
pub use verdict::{
    ControlCheck, Effect, Evidence, FinalistEvidence, Judge, OtherEffect, OtherEvidence, PairTest, Paired, PathVerdict,
    Verdict, VerdictOptions, verdict,
};
