//! What the tag of a content says about its bytes, and whether they are those.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Hashes a content while it arrives, as its tag asks for.
#[derive(Debug, Clone)]
pub(crate) enum Checksum {
    /// Large contents are tagged with their SHA-256.
    Sha256(Sha256),
    /// Others with Git's hash of a blob: the SHA-1 of the word, the size, a zero byte and the content ("Git Internals, Git
    /// Objects" in its book). Stores that companies put before the hub have the SHA-1 of the content alone instead.
    Sha1 {
        /// Begun with what Git puts before the content.
        blob: Sha1,
        /// Of the content alone.
        plain: Sha1,
    },
    /// A tag that is no hash proves nothing.
    Unknown,
}

impl Checksum {
    /// For a content of so many bytes.
    pub(crate) fn of(tag: &str, size: u64) -> Self {
        let is_hash = tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match tag.len() {
            64 if is_hash => Self::Sha256(Sha256::new()),
            40 if is_hash => Self::Sha1 { blob: Sha1::new_with_prefix(format!("blob {size}\0")), plain: Sha1::new() },
            _ => Self::Unknown,
        }
    }

    /// The next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha1 { blob, plain } => {
                blob.update(bytes);
                plain.update(bytes);
            }
            Self::Unknown => {}
        }
    }

    /// Which hash it is and what it is, where that is not what the tag says.
    pub(crate) fn mismatch(&self, tag: &str) -> Option<(&'static str, String)> {
        let (what, found, other) = match self {
            Self::Sha256(hash) => ("SHA-256", hex(&hash.clone().finalize()), None),
            Self::Sha1 { blob, plain } => {
                ("SHA-1", hex(&blob.clone().finalize()), Some(hex(&plain.clone().finalize())))
            }
            Self::Unknown => return None,
        };
        let is_right = |hash: &String| hash.eq_ignore_ascii_case(tag);
        (!is_right(&found) && !other.as_ref().is_some_and(is_right)).then_some((what, found))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n'`, by `git hash-object --stdin`, `sha1sum` and `sha256sum`.
    const CONTENT: &[u8] = b"hello\n";
    const BLOB: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const PLAIN: &str = "f572d396fae9206628714fb2ce00f72e94f2258f";
    const LARGE: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    fn mismatch(tag: &str, content: &[u8]) -> Option<(&'static str, String)> {
        let mut checksum = Checksum::of(tag, content.len() as u64);
        content.chunks(4).for_each(|piece| checksum.update(piece));
        checksum.mismatch(tag)
    }

    #[test]
    fn contents_are_proved_by_their_tags() {
        for tag in [BLOB, PLAIN, LARGE, &BLOB.to_ascii_uppercase(), "v1-of-a-mirror", &"x".repeat(40)] {
            assert_eq!(mismatch(tag, CONTENT), None, "{tag}");
        }
        assert_eq!(mismatch(BLOB, b"hellO\n").map(|found| found.0), Some("SHA-1"));
        assert_eq!(mismatch(LARGE, b"hello").map(|found| found.0), Some("SHA-256"));
        assert_eq!(mismatch(&"0".repeat(40), CONTENT), Some(("SHA-1", BLOB.to_owned())));
    }
}
