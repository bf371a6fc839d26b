use crate::MAX_VISITS;

/// Why a layer path was refused: what was found, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text holds nothing but white space, or the list of layers is empty.
    #[error("the layer path is empty; write `..` for the baseline, or for example `0..7,4..11`")]
    Empty,
    /// A model without layers has no paths.
    #[error("the model has no layers, so it has no layer path")]
    NoLayers,
    /// A layer index is not below the depth.
    #[error("layer {layer} does not exist: the model has {}{advice}", layers_of(*.depth))]
    LayerOutOfRange {
        /// The index that was found.
        layer: usize,
        /// The model's number of layers.
        depth: usize,
        /// What to do, starting with `; `, or empty.
        advice: &'static str,
    },
    /// A range whose end lies below its start.
    #[error(
        "the range `{start}..{end}` descends, but ranges run upwards; \
         name the layers one by one (`{start},…,{end}`) to run them downwards"
    )]
    Descending {
        /// First layer as written.
        start: usize,
        /// Last layer as written.
        end: usize,
    },
    /// A half-open range `[start, end)` without a layer in it.
    #[error("the half-open range [{start}, {end}] of {notation} holds no layer; its end must be above its start")]
    EmptyRange {
        /// First layer as written.
        start: usize,
        /// One past the last layer, as written.
        end: usize,
        /// The notation in which it was found.
        notation: &'static str,
    },
    /// A block that no stack of this depth has.
    #[error("the block ({start}, {end}) is impossible: {reason}")]
    ImpossibleBlock {
        /// The block's `i`.
        start: usize,
        /// The block's `j`.
        end: usize,
        /// Why, and what to do.
        reason: String,
    },
    /// More visits than a path may have; found before anything is expanded.
    #[error("the layer path would have {visits} visits, but at most {MAX_VISITS} are allowed; repeat fewer layers")]
    TooLong {
        /// The number of visits that the path asks for.
        visits: u128,
    },
    /// An item repeated zero times.
    #[error("`x0` would write an item zero times; leave the item out to skip its layers")]
    ZeroRepeats,
    /// A number with more digits than any layer index, count or bound can have.
    #[error("the number `{digits}` is too large for a layer index or a repeat count")]
    NumberTooLarge {
        /// The digits, shortened.
        digits: String,
    },
    /// Text that the notation does not allow at this place.
    #[error("{notation}, character {position}: found {found}, expected {expected}")]
    Syntax {
        /// The notation that the text was read as.
        notation: &'static str,
        /// Place in the text, in characters, counted from 1.
        position: usize,
        /// The rest of the text, shortened and quoted, or "the end".
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A bracketed list of numbers, which tools read either as a block or as layers.
    #[error(
        "the list `{found}` is ambiguous: some tools read two numbers in brackets as a block, others as layers; \
         write `(i,j)` for a block, `layers:0,1` for layers, or `[[0,4],[2,5]]` for PEFT's half-open ranges"
    )]
    AmbiguousList {
        /// The list, shortened.
        found: String,
    },
    /// A scale that is no decimal number of the allowed form.
    #[error("the scale `{found}` {reason}; write a decimal number from -1000 to 1000 such as `0.5`, `-1` or `2.25`")]
    Scale {
        /// The text, shortened.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A branch that does not exist, or one named twice.
    #[error(
        "the branch `{found}` {reason}; the branches are `attn` and `mlp`, each at most once, as in `{{attn=0.5,mlp=0}}`"
    )]
    Branch {
        /// The branch's name as written, shortened.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A mergekit file that is no layer path.
    #[error("the mergekit configuration is no layer path: {reason}")]
    Mergekit {
        /// What was found, expected, and what to do.
        reason: String,
    },
}

/// "1 layer, number 0" or "12 layers, 0 to 11".
fn layers_of(depth: usize) -> String {
    match depth {
        0 => "no layers".to_owned(),
        1 => "1 layer, number 0".to_owned(),
        _ => format!("{depth} layers, 0 to {}", depth - 1),
    }
}

/// The first characters of foreign text, so that a message stays one line long whatever it quotes.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 32;
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(LONGEST).collect();
    short.push('…');
    short
}
