use std::fmt;
use std::str::FromStr;

use crate::ProbeError;
use crate::phantom::PhantomWorld;

/// How many questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Some(usize),
    /// Every question there is; only finite probes can.
    All,
}

impl FromStr for Count {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, ProbeError> {
        match text.trim() {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Some).map_err(|_| ProbeError::Count { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Some(count) => count.fmt(formatter),
            Self::All => formatter.write_str("all"),
        }
    }
}

/// What the questions are for. No question belongs to two roles, whatever the seeds: a question's role follows from
/// the question itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To find candidates.
    Search,
    /// To confirm finalists.
    Confirm,
    /// To describe the outcome.
    Report,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 3] = [Self::Search, Self::Confirm, Self::Report];
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Search => "search",
            Self::Confirm => "confirm",
            Self::Report => "report",
        })
    }
}

/// What a probe is built from.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    /// How many questions.
    pub count: Count,
    /// Seed of their drawing.
    pub seed: u64,
    /// What they are for; [`Count::All`] asks the questions of every role.
    pub role: Role,
    /// The world of the phantom that is asked, if it is one.
    pub phantom: Option<PhantomWorld>,
}
