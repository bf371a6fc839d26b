//! The threads that compute, which every room shares.

use std::error::Error;

use crate::{ModelError, Result};

/// Starts them, unless they are there: who uses them first would otherwise panic where the system has no room for them.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_threads() -> Result<()> {
    match rayon::ThreadPoolBuilder::new().build_global() {
        // Without a cause it says that they are there.
        Err(refused) if refused.source().is_some() => Err(ModelError::Threads(refused)),
        _ => Ok(()),
    }
}

/// Threads that keep what attention packs for as long as they live: those of the pool, and the one that calls it.
pub fn scratch_threads() -> usize {
    rayon::current_num_threads().saturating_add(1)
}
