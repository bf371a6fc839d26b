//! A GGUF file as it is laid out, for who copies it byte for byte.

use std::ops::Range;
use std::path::Path;

use super::format::BlockFormat;
use super::header::GgufTensor;
use super::weights::{GgufWeights, Part};

/// A GGUF file whose head has been checked: its keys and tensors in the order of the file.
#[derive(Clone, Debug)]
pub struct GgufLayout<'a> {
    /// The file.
    pub path: &'a Path,
    /// Every key of the metadata.
    pub keys: Vec<GgufKey<'a>>,
    /// Every tensor, also those that the decoder does not read.
    pub tensors: Vec<GgufPlace<'a>>,
}

/// A key of the metadata.
#[derive(Clone, Copy, Debug)]
pub struct GgufKey<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value as stored, the type in front.
    pub value: &'a [u8],
}

/// A tensor of a GGUF file.
#[derive(Clone, Debug)]
pub struct GgufPlace<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Its number format.
    pub format: BlockFormat,
    /// Size of each axis, slowest first, unlike in the file.
    pub shape: &'a [usize],
    /// Its bytes, counted from the start of the file.
    pub range: Range<usize>,
}

impl GgufWeights {
    /// Every file of the model, the first one first.
    pub(crate) fn layout(&self) -> Vec<GgufLayout<'_>> {
        self.parts().iter().map(Part::layout).collect()
    }
}

impl Part {
    fn layout(&self) -> GgufLayout<'_> {
        let Self { file, header } = self;
        // The head was read from these bytes.
        let value = |range: &Range<usize>| file.bytes().get(range.clone()).unwrap_or_default();
        let keys = header.entries.iter().map(|(name, range)| GgufKey { name, value: value(range) });
        let tensors = header.tensors.iter().map(|(name, GgufTensor { format, shape, range })| GgufPlace {
            name,
            format: *format,
            shape,
            range: range.clone(),
        });
        let mut tensors: Vec<_> = tensors.collect();
        tensors.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
        GgufLayout { path: file.path(), keys: keys.collect(), tensors }
    }
}
