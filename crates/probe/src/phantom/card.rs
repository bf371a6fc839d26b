use serde::{Deserialize, Serialize};

use super::PhantomWorld;

/// `phantom.json` of a phantom's folder: what only its maker can know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomCard {
    /// The world that its questions are about.
    pub world: PhantomWorld,
    /// What is planted in it; nothing in a plain phantom.
    pub planted: Option<PlantedBlock>,
}

/// What a scan of a phantom should find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedBlock {
    /// The block `[i, j)` that was looped while the phantom learned.
    pub block: [usize; 2],
    /// The group of questions in which a second pass shows.
    pub group: String,
}
