//! Which model this is, in a few bytes and at constant cost.

use sha2::{Digest, Sha256};

/// Bytes of one sample of a weight file.
const SAMPLE_BYTES: usize = 64 * 1024;

/// Samples per weight file, evenly spread, the first at the start of the data and the last at its end.
const SAMPLES: usize = 64;

/// A checkpoint's name and fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The folder's name.
    pub id: String,
    /// SHA-256, in hexadecimal, of `config.json` and of every weight file's name, length, header and samples of its data:
    /// all of it up to 4 MiB, else 64 evenly spread pieces of 64 KiB. With random weights: of the config and the seed.
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

    /// Adds the length of the data and samples of it.
    pub(crate) fn add_samples(&mut self, data: &[u8]) {
        if data.len() <= SAMPLES * SAMPLE_BYTES {
            return self.add(data);
        }
        self.0.update((data.len() as u64).to_le_bytes());
        let last_start = data.len() - SAMPLE_BYTES;
        for sample in 0..SAMPLES {
            // In 128 bits, because the product may not fit into 32 or 64.
            let start = (last_start as u128 * sample as u128 / (SAMPLES as u128 - 1)) as usize;
            self.0.update(&data[start..start + SAMPLE_BYTES]);
        }
    }

    pub(crate) fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}
