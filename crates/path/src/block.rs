use std::fmt;

use crate::layer_path::check_length;
use crate::{LayerPath, PathError, Step};

/// The block `(i, j)`: layers i … j−1, run once more. `(0, 0)` is the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// `i`, the first layer of the block.
    pub start: usize,
    /// `j`, one past its last layer.
    pub end: usize,
}

impl Block {
    /// The block that repeats nothing.
    pub const BASELINE: Self = Self { start: 0, end: 0 };

    /// The block `(start, end)` of a stack of `depth` layers.
    ///
    /// # Errors
    /// Refuses blocks that are empty, descend, or end above the stack, and a stack without layers.
    pub fn new(start: usize, end: usize, depth: usize) -> Result<Self, PathError> {
        if depth == 0 {
            return Err(PathError::NoLayers);
        }
        let block = Self { start, end };
        let reason = if block.is_baseline() {
            return Ok(block);
        } else if end < start {
            format!("its end must be above its start; did you mean ({end}, {start})?")
        } else if start == end {
            "it holds no layer; i must be below j, and only (0, 0) stands for the baseline".to_owned()
        } else if end > depth {
            format!("the model has {depth} layers, so j is at most {depth}; layers i to j-1 run once more")
        } else {
            return Ok(block);
        };
        Err(PathError::ImpossibleBlock { start, end, reason })
    }

    /// The path that runs layers 0 … j−1 and then i … depth−1.
    ///
    /// # Errors
    /// As [`Block::new`], and when the path would be too long.
    pub fn path(self, depth: usize) -> Result<LayerPath, PathError> {
        let block = Self::new(self.start, self.end, depth)?;
        check_length(depth as u128 + block.size() as u128)?;
        LayerPath::from_steps(block.layers(depth).map(Step::layer).collect(), depth)
    }

    /// Whether this is `(0, 0)`.
    #[must_use]
    pub fn is_baseline(self) -> bool {
        self == Self::BASELINE
    }

    /// How many layers it runs once more: j − i.
    #[must_use]
    pub fn size(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// The layers of its path, in order.
    pub(crate) fn layers(self, depth: usize) -> impl Iterator<Item = usize> {
        (0..self.end).chain(self.start..depth)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({}, {})", self.start, self.end)
    }
}

/// The baseline and every block of a stack, ordered by i and then j: depth · (depth + 1) / 2 + 1 blocks.
pub fn triangle(depth: usize) -> impl Iterator<Item = Block> {
    let blocks = (0..depth).flat_map(move |start| (start + 1..=depth).map(move |end| Block { start, end }));
    std::iter::once(Block::BASELINE).chain(blocks)
}
