//! THE EXPERIMENT: the one room where engine, probe, text and record meet.
//!
//! [`plan()`] turns a [`Subject`] (a model) and a [`ScanRequest`] (paths and probes) into everything that can be known
//! without weights; [`run()`] carries it out into a run directory and resumes what a killed process left there, and
//! [`measure`] does the same in memory. This room holds no statistics and draws nothing: what it knows ends in rows.
//!
//! Its sharpest edge: a *portion* of work is a group of paths on a chunk of questions, and floating-point order depends
//! on what shares a batch. A portion is therefore always computed whole, as the stored plan cuts it, even when a killed
//! process has already written a part of its samples.

mod confirm;
mod error;
mod estimate;
mod generated;
mod memory;
mod notes;
mod observer;
mod plan;
mod portion;
mod prompt;
mod recorder;
mod reference;
mod request;
mod run;
mod screen;
mod share;
mod subject;
mod summary;
mod turn;
mod unit;
mod work;

pub use confirm::{
    CONFIRM_QUESTIONS, CONTROLS, ConfirmOutcome, ConfirmPlan, ConfirmRequest, DRAWS, FINALISTS, GUARD_QUESTIONS,
    GUARDS, SHAM_ORDER, SHAM_PLACE, confirm, confirm_plan,
};
pub use error::{MemoryNeeds, ScanError};
pub use estimate::estimate;
pub use generated::Generated;
pub use neuro_model::{Device, WeightType};
pub use observer::{Observer, Progress};
pub use plan::{Plan, plan};
pub use reference::{ReferenceLeftOut, ReferenceSummary};
pub use request::{DEFAULT_PROBE, DEFAULT_QUESTIONS, PHANTOM_PROBE, Paths, SCREENED_QUESTIONS, SCREENING, ScanRequest};
pub use run::{Outcome, measure, run};
pub use subject::{OpenOptions, Residence, Subject, open_text};
pub use summary::{PlanSummary, ProbeSummary};

/// Result of the scan room.
pub type Result<T> = std::result::Result<T, ScanError>;
