use std::fmt;

use crate::{Block, PathError, Step, Visit, parse};

/// The largest number of visits that a path may have.
pub const MAX_VISITS: usize = 65_536;

/// The order in which decoder layers run, for example `0..7,4..11` on 12 layers.
///
/// Never empty; every index is below the depth. Equal paths are the same model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayerPath {
    steps: Vec<Step>,
    depth: usize,
}

impl LayerPath {
    /// The identity path: every layer once, in order.
    ///
    /// # Errors
    /// Refuses a depth of zero or above [`MAX_VISITS`].
    pub fn baseline(depth: usize) -> Result<Self, PathError> {
        Block::BASELINE.path(depth)
    }

    /// The path of plain visits to these layers.
    ///
    /// # Errors
    /// As [`LayerPath::from_steps`].
    pub fn from_layers(layers: &[usize], depth: usize) -> Result<Self, PathError> {
        check_length(layers.len() as u128)?;
        Self::from_steps(layers.iter().copied().map(Step::layer).collect(), depth)
    }

    /// The path of these steps on a stack of `depth` layers.
    ///
    /// # Errors
    /// Refuses an empty path, one of more than [`MAX_VISITS`] steps, and a layer that does not exist.
    pub fn from_steps(steps: Vec<Step>, depth: usize) -> Result<Self, PathError> {
        check_depth(depth)?;
        check_length(steps.len() as u128)?;
        if steps.is_empty() {
            return Err(PathError::Empty);
        }
        for step in &steps {
            let Step::Layer { layer, .. } = *step;
            check_layer(layer, depth, "")?;
        }
        Ok(Self { steps, depth })
    }

    /// Reads any of the notations; [`Display`](fmt::Display) prints the first.
    ///
    /// | text | is |
    /// |---|---|
    /// | `0..15,11..31`, `..,4..`, `4..7x2`, `4..7{attn=0.5,mlp=0}` | layer map, ends included, open ends allowed |
    /// | `(i,j)` | block: layers i … j−1 run once more |
    /// | `blocks:24,35;43,45` | blocks, each inserted behind the right-most layer j−1 so far |
    /// | `layers:0,1,2` | the layers themselves |
    /// | `[[0,4],[2,5]]` | PEFT's `layer_replication`, ends excluded |
    /// | YAML with `layer_range` | mergekit's passthrough slices, ends excluded |
    ///
    /// # Errors
    /// Says what was found, what was expected and what to do. Lengths are checked before anything is expanded.
    pub fn parse(text: &str, depth: usize) -> Result<Self, PathError> {
        check_depth(depth)?;
        Self::from_steps(parse::steps(text, depth)?, depth)
    }

    /// The model's number of layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Always false: a path has at least one step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The visited layers, in order.
    #[must_use]
    pub fn layers(&self) -> Vec<usize> {
        self.visits().iter().map(|visit| visit.layer).collect()
    }

    /// The layer visits, in order, each with its pass.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        let mut passes = vec![0; self.depth];
        let visit = |step: &Step| {
            let Step::Layer { layer, scales } = *step;
            let pass = passes[layer];
            passes[layer] += 1;
            Visit { layer, pass, scales }
        };
        self.steps.iter().map(visit).collect()
    }

    /// Whether this is the identity path.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        self.is_path_of(Block::BASELINE)
    }

    /// Visits beyond one per layer; negative for paths that skip more than they repeat.
    #[must_use]
    pub fn extra_visits(&self) -> isize {
        self.len().cast_signed() - self.depth.cast_signed()
    }

    /// How many leading steps both paths have in common.
    #[must_use]
    pub fn shared_prefix(&self, other: &Self) -> usize {
        let pairs = self.steps.iter().zip(&other.steps);
        pairs.take_while(|(ours, theirs)| ours == theirs).count()
    }

    /// The block whose path this exactly is, [`Block::BASELINE`] for the baseline, or none.
    #[must_use]
    pub fn block(&self) -> Option<Block> {
        let first_jump = self.visits().iter().zip(0..).find_map(|(visit, position)| {
            (visit.layer != position).then_some(Block { start: visit.layer, end: position })
        });
        let block = first_jump.unwrap_or(Block::BASELINE);
        let possible = Block::new(block.start, block.end, self.depth).is_ok();
        (possible && self.is_path_of(block)).then_some(block)
    }

    fn is_path_of(&self, block: Block) -> bool {
        let expected = block.layers(self.depth).map(Step::layer);
        self.steps.iter().copied().eq(expected)
    }
}

/// The layer map with included ends: maximal ascending runs of equal scales, never `xK` and never open ends.
impl fmt::Display for LayerPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let continues = |left: &Step, right: &Step| {
            let (Step::Layer { layer: left, scales: left_scales }, Step::Layer { layer: right, scales: right_scales }) =
                (*left, *right);
            left + 1 == right && left_scales == right_scales
        };
        for (index, run) in self.steps.chunk_by(continues).enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            let Step::Layer { layer, scales } = run[0];
            match run.len() {
                1 => write!(formatter, "{layer}{scales}")?,
                length => write!(formatter, "{layer}..{}{scales}", layer + length - 1)?,
            }
        }
        Ok(())
    }
}

pub(crate) fn check_length(visits: u128) -> Result<(), PathError> {
    if visits > MAX_VISITS as u128 {
        return Err(PathError::TooLong { visits });
    }
    Ok(())
}

pub(crate) fn check_layer(layer: usize, depth: usize, advice: &'static str) -> Result<(), PathError> {
    if layer >= depth {
        return Err(PathError::LayerOutOfRange { layer, depth, advice });
    }
    Ok(())
}

fn check_depth(depth: usize) -> Result<(), PathError> {
    if depth == 0 {
        return Err(PathError::NoLayers);
    }
    check_length(depth as u128)
}
