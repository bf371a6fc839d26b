//! Which model this is, in a few bytes and at bounded cost.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::disk::WeightFile;
use crate::error::CheckpointError;

/// Weight files up to this many bytes in total are hashed whole.
pub(crate) const WHOLE_BYTES: u64 = 256 << 20;

/// Bytes of one evenly spread sample of a weight file.
const SAMPLE_BYTES: usize = 64 * 1024;

/// Evenly spread samples per weight file, the first at the start of the data and the last at its end.
const SAMPLES: usize = 64;

/// Bytes hashed at either end of every tensor.
const EDGE_BYTES: usize = 4 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// A checkpoint's name and fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The folder's name, or the GGUF file's without its ending.
    pub id: String,
    /// SHA-256, in hexadecimal, of `config.json`, where there is one, and of the weights.
    ///
    /// Weight files of up to 256 MiB in total are hashed whole, each with its name. Of larger ones: each file's name and
    /// header, its data's length, 64 evenly spread pieces of 64 KiB of it (all of it up to 4 MiB), and the first and
    /// last 4 KiB of every tensor in it. So a tensor that was trained or replaced shows, but in large files a change of
    /// a few numbers in the middle of a tensor may not.
    ///
    /// Random weights: the version of the drawing and the seed.
    pub hash: String,
}

/// Collects what makes up a fingerprint. Every part is preceded by its length, so that parts cannot be confused.
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds a weight file, whole or by samples. It is read, not looked at where it is mapped: a file that is cut meanwhile
    /// is then an error.
    pub(crate) fn add_weight_file(
        &mut self,
        file: &WeightFile,
        data_start: usize,
        tensors: impl Iterator<Item = Range<usize>>,
        whole: bool,
    ) -> Result<(), CheckpointError> {
        let mut buffer = Vec::new();
        let length = file.bytes().len();
        // A GGUF file without tensors may end before its data would begin.
        let data = data_start.min(length)..length;
        self.add(file.path().file_name().unwrap_or_default().as_encoded_bytes());
        self.add_range(file, 0..data.start, &mut buffer)?;
        if whole || data.len() <= SAMPLES * SAMPLE_BYTES {
            return self.add_range(file, data, &mut buffer);
        }
        self.0.update((data.len() as u64).to_le_bytes());
        let last_start = data.len() - SAMPLE_BYTES;
        for sample in 0..SAMPLES {
            // In 128 bits, because the product may not fit into 32 or 64.
            let start = data.start + (last_start as u128 * sample as u128 / (SAMPLES as u128 - 1)) as usize;
            self.update(file, start..start + SAMPLE_BYTES, &mut buffer)?;
        }
        for Range { start, end } in tensors {
            // The header has been checked: every range lies within the file.
            self.add_range(file, start..end.min(start + EDGE_BYTES), &mut buffer)?;
            self.add_range(file, start.max(end.saturating_sub(EDGE_BYTES))..end, &mut buffer)?;
        }
        Ok(())
    }

    /// Adds bytes of a file as one part.
    fn add_range(
        &mut self,
        file: &WeightFile,
        range: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        self.0.update((range.len() as u64).to_le_bytes());
        self.update(file, range, buffer)
    }

    fn update(&mut self, file: &WeightFile, range: Range<usize>, buffer: &mut Vec<u8>) -> Result<(), CheckpointError> {
        for start in range.clone().step_by(READ_BYTES) {
            let piece = start..range.end.min(start + READ_BYTES);
            let bytes = file.read(piece, buffer).map_err(|source| CheckpointError::io(file.path(), source))?;
            self.0.update(bytes);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::header::Header;

    /// A file of three tensors, 8 MiB in all, and where each tensor's bytes begin.
    fn file() -> (Vec<u8>, Header) {
        let header = r#"{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]},
            "b":{"dtype":"F32","shape":[1500],"data_offsets":[4000000,4006000]},
            "c":{"dtype":"F32","shape":[1000000],"data_offsets":[4006000,8006000]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + 8_006_000, 7);
        let header = Header::parse(&bytes, Path::new("x")).expect("is valid");
        (bytes, header)
    }

    fn hash(bytes: &[u8], header: &Header, whole: bool) -> String {
        let mut fingerprint = Fingerprint::new();
        let ranges = header.tensors().values().map(|entry| entry.range.clone());
        let file = WeightFile::held(Path::new("x"), bytes.to_vec().into());
        fingerprint.add_weight_file(&file, header.data_start(), ranges, whole).expect("is in memory");
        fingerprint.finish()
    }

    #[test]
    fn a_changed_tensor_shows_in_samples_and_any_change_in_the_whole() {
        let (mut bytes, header) = file();
        let [sampled, whole] = [false, true].map(|whole| hash(&bytes, &header, whole));
        let mut shows = |position: usize| {
            bytes[position] ^= 1;
            let found = [hash(&bytes, &header, false) != sampled, hash(&bytes, &header, true) != whole];
            bytes[position] ^= 1;
            found
        };
        // Of the evenly spread samples, one ends at 3,972,754 bytes of data and the next begins at 4,033,257.
        let range = |name: &str| header.tensors()[name].range.clone();
        for position in
            [range("a").end - 1, range("a").end - EDGE_BYTES, range("b").start, range("b").end - 1, range("c").start]
        {
            assert_eq!(shows(position), [true, true], "{position}");
        }
        assert_eq!(shows(range("a").end - EDGE_BYTES - 1), [false, true]);
    }
}
