//! The number formats of GGUF tensors: how many numbers share a block, and how many bytes it takes.
//!
//! Ids and sizes are those of ggml's `ggml.h` (`enum ggml_type`) and `ggml-common.h`.

use std::fmt;

/// A number format of GGUF tensors that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockFormat {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single-precision number.
    BF16,
    /// 4 bits around 0, a scale for 32.
    Q4_0,
    /// 4 bits above a minimum, scale and minimum for 32.
    Q4_1,
    /// 5 bits around 0, a scale for 32.
    Q5_0,
    /// 5 bits above a minimum, scale and minimum for 32.
    Q5_1,
    /// 8 bits, a scale for 32.
    Q8_0,
    /// 2 bits above a minimum, 4-bit scale and minimum for 16.
    Q2K,
    /// 3 bits around 0, a 6-bit scale for 16.
    Q3K,
    /// 4 bits above a minimum, 6-bit scale and minimum for 32.
    Q4K,
    /// 5 bits above a minimum, 6-bit scale and minimum for 32.
    Q5K,
    /// 6 bits around 0, an 8-bit scale for 16.
    Q6K,
    /// 4-bit indices into a table of 16 levels, a scale for 32.
    IQ4NL,
    /// The same table, a 6-bit scale for 32.
    IQ4XS,
    /// 4-bit floats (E2M1), a power of two for 32.
    MXFP4,
}

/// Numbers of a super-block.
pub(super) const SUPER: usize = 256;
/// Numbers of a small block.
pub(super) const SMALL: usize = 32;

impl BlockFormat {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::IQ4NL,
        Self::IQ4XS,
        Self::MXFP4,
    ];

    /// Id in files, name, numbers of a block, bytes of a block.
    fn facts(self) -> (u32, &'static str, usize, usize) {
        match self {
            Self::F32 => (0, "F32", 1, 4),
            Self::F16 => (1, "F16", 1, 2),
            Self::Q4_0 => (2, "Q4_0", SMALL, 18),
            Self::Q4_1 => (3, "Q4_1", SMALL, 20),
            Self::Q5_0 => (6, "Q5_0", SMALL, 22),
            Self::Q5_1 => (7, "Q5_1", SMALL, 24),
            Self::Q8_0 => (8, "Q8_0", SMALL, 34),
            Self::Q2K => (10, "Q2_K", SUPER, 84),
            Self::Q3K => (11, "Q3_K", SUPER, 110),
            Self::Q4K => (12, "Q4_K", SUPER, 144),
            Self::Q5K => (13, "Q5_K", SUPER, 176),
            Self::Q6K => (14, "Q6_K", SUPER, 210),
            Self::IQ4NL => (20, "IQ4_NL", SMALL, 18),
            Self::IQ4XS => (23, "IQ4_XS", SUPER, 136),
            Self::BF16 => (30, "BF16", 1, 2),
            Self::MXFP4 => (39, "MXFP4", SMALL, 17),
        }
    }

    /// The format of an id; the error is a message that names what was found and what is read.
    pub(super) fn of_id(id: u32) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.facts().0 == id).ok_or_else(|| {
            let known = Self::ALL.map(|format| format.facts().1).join(", ");
            let found = name_of_id(id).map_or_else(|| format!("number format {id}"), ToOwned::to_owned);
            format!("is stored as {found}, which is not read; use a file in one of {known}")
        })
    }

    /// The number that stands for it in files (`enum ggml_type`).
    #[must_use]
    pub fn id(self) -> u32 {
        self.facts().0
    }

    /// The name that llama.cpp prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// Numbers that are stored together.
    #[must_use]
    pub fn block_len(self) -> usize {
        self.facts().2
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        self.facts().3
    }

    /// Whether numbers are rounded to a few bits.
    #[must_use]
    pub fn is_quantised(self) -> bool {
        self.block_len() > 1
    }

    /// Bytes of so many numbers, which are whole blocks; `None` where that is more than can be counted.
    #[must_use]
    pub fn bytes_of(self, numbers: usize) -> Option<usize> {
        (numbers / self.block_len()).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Formats that exist and are not read.
fn name_of_id(id: u32) -> Option<&'static str> {
    Some(match id {
        4 | 5 => "Q4_2 or Q4_3, which llama.cpp gave up in 2023",
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        40 => "NVFP4",
        _ => return None,
    })
}
