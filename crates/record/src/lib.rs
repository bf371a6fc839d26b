//! WHAT HAPPENED: the run directory, its schema, append, resume and provenance.
//!
//! A run is one scan on disk. `run.json` says where its numbers come from, `rows.jsonl` holds one line per path and
//! probe, `samples-<probe>.jsonl` one line per path and question. This room does not know how a score is made or what
//! it means; it makes sure that a number is written once, with its origin, and that a killed run resumes.
//!
//! Its sharpest edge: samples reach the disk before the row that counts on them, and a reader reads the rows before
//! the samples. Turn either order around and a healthy run looks damaged.

mod check;
mod confirm;
mod error;
mod files;
mod index;
mod info;
mod ledger;
mod lock;
mod log;
mod paired;
mod reader;
mod row;
mod settings;
mod writer;

pub use confirm::{
    CONFIRM_FOLDER, COSTS_FILE, ConfirmData, ConfirmWriter, Earlier, FINALISTS_FILE, Finalist, Finalists, MAIN_RUN,
    PathCost, QUESTIONS_FILE, QuestionSet, QuestionSets, SIDE_RUN, SearchSource, Sham, SkippedProbe, finalists_hash,
    read_finalists, rows_hash,
};
pub use error::RecordError;
pub use files::{LOCK_FILE, ROWS_FILE, RUN_FILE, reference_file, samples_file, write_atomically};
pub use info::{
    IMPORTED, ModelInfo, Plan, PlannedPaths, Planted, ProbeInfo, RunInfo, SCHEMA, SOURCE, Screen, ScreenedProbe,
};
pub use ledger::{ASKED_FILE, Asked, CONFIRM_ROLE, Ledger, asked_before, later_confirmations};
pub use paired::{Paired, PairedError, PairedScores, read_paired_csv, read_paired_folders, read_paired_samples};
pub use reader::RunData;
pub use row::{GroupScore, Row, SECONDS_EXTRAPOLATED, SECONDS_SHARE, STOP_LENGTH, STOP_LOOP, Sample, Screened};
pub use settings::{Difference, settings_differences, settings_hash};
pub use writer::RunWriter;
