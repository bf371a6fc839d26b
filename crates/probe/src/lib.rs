//! WHAT WE ASK AND HOW WE GRADE: question sets, prompts, answer extraction, scorers.
//!
//! A [`Probe`] is a list of questions, a scorer and the frame in which answers stand; it is pure and knows no model,
//! no tokenizer and no path. Questions are drawn from seeds (ChaCha8), and a question's [`Role`] follows from the
//! question itself, so search, confirm and report questions never overlap.
//!
//! Sharpest edge: style must not move a score. A grade is the same for `12345`, `**12,345**` and `Sure! 12 345.`, and
//! an answer in which nothing can be read is a parse failure beside its score of 0, never a silent one.

mod digits;
mod draw;
mod dress;
mod eq;
mod eqbench;
mod error;
mod follow;
mod instruction;
mod likelihood;
mod math;
mod mersenne;
mod number;
pub mod phantom;
mod probe;
mod question;
mod reason;
mod recall;
mod request;
mod rys;
mod sane;
mod scorer;
mod task;
mod text;

pub use error::ProbeError;
pub use likelihood::Likelihood;
pub use phantom::PhantomWorld;
pub use probe::{DRAW_MARK, PROBES, Probe, ProbeParts, Scoring, family};
pub use question::{Continuation, Frame, Question, Terminator};
pub use request::{Count, ProbeFile, ProbeRequest, Role};
pub use scorer::{Grade, Scorer};
pub use task::{Constant, EQBENCH_CUT, Graded, Harness, Measure, SCORERS, TASKS, TaskSet, examples_of, is_task};
