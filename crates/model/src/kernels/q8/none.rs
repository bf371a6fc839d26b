//! A processor for which no kernel is written.

use super::{Rounded, Sums, WORDS, WeightBlock};

/// Never found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {}

impl Instructions {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn block_times(self) -> [usize; 2] {
        match self {}
    }

    pub(super) fn round(self, _x: &[f32]) -> ([u32; WORDS], f32, i32) {
        match self {}
    }

    pub(super) fn round_weights(self, _weights: &[f32]) -> ([u32; WORDS], u16) {
        match self {}
    }

    pub(super) fn multiply(
        self,
        _rows: usize,
        _x: &[Rounded],
        _weights: &[WeightBlock],
        _next: &[WeightBlock],
        _sums: &mut Sums,
    ) {
        match self {}
    }
}
