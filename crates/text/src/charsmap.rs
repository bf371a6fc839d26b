//! The rules of normalisation that SentencePiece compiles into a `precompiled_charsmap`: the size of a trie in bytes, the
//! trie, and what it leads to, each text behind a zero. The library that applies them believes the size and allocates for
//! it, so that five bytes can ask for gigabytes; they are looked at before it sees them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Bytes that may be written for one character. The longest real replacement, of an Arabic ligature, has 33.
const LONGEST: usize = 256;

/// The longest text that the rules can write; the error is a message.
pub(crate) fn longest(charsmap: &[u8]) -> Result<usize, String> {
    let Some((size, rest)) = charsmap.split_first_chunk() else {
        return Err(format!(
            "its `precompiled_charsmap` has {} bytes, expected the 4 of a trie's size and the trie; take the file again \
             from the model's source",
            charsmap.len()
        ));
    };
    let size = u32::from_le_bytes(*size);
    let Some(texts) = usize::try_from(size).ok().filter(|size| size % 4 == 0).and_then(|size| rest.get(size..)) else {
        return Err(format!(
            "its `precompiled_charsmap` claims a trie of {size} bytes, expected a multiple of 4 and at most the {} that \
             follow; it is damaged or hostile, take the file again from the model's source",
            rest.len()
        ));
    };
    let longest = texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0);
    if longest > LONGEST {
        return Err(format!(
            "its `precompiled_charsmap` can write {longest} bytes for one character, expected at most {LONGEST}; it is hostile"
        ));
    }
    Ok(longest)
}

/// As [`longest`], of the base64 that a `tokenizer.json` has.
pub(crate) fn longest_of_text(text: &str) -> Result<usize, String> {
    let bytes = decoded(text).ok_or("its `precompiled_charsmap` is not base64; take the file again from its source")?;
    longest(&bytes)
}

/// What base64 stands for, with or without its padding; none where it is something else. Whatever the library can read is
/// read here too, so that nothing gets by.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, lenient).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charsmap(size: u32, rest: &[u8]) -> Vec<u8> {
        [&size.to_le_bytes(), rest].concat()
    }

    #[test]
    fn text_becomes_bytes_as_rfc_4648_says() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{3ff}\u{7f}", "z79/")]
        {
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(decoded(text.trim_end_matches('=')).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn sizes_that_are_not_there_are_refused() {
        assert_eq!(longest(&charsmap(0, b"")), Ok(0));
        assert_eq!(longest(&charsmap(4, b"\0\0\0\0abc\0de")), Ok(3));
        for (bytes, expected) in [
            (b"\0".to_vec(), "has 1 bytes"),
            (b"\xff\xff\xff\xff\0".to_vec(), "4294967295 bytes, expected a multiple of 4 and at most the 1 "),
            (charsmap(8, &[0; 7]), "8 bytes, expected a multiple of 4 and at most the 7 "),
            (charsmap(3, &[0; 7]), "a trie of 3 bytes"),
            (charsmap(0, &[b'a'; 257]), "can write 257 bytes"),
        ] {
            let problem = longest(&bytes).expect_err(expected);
            assert!(problem.contains(expected), "{problem}");
        }
        assert_eq!(longest(&charsmap(0, &[b'a'; 256])), Ok(256));
    }

    #[test]
    fn text_becomes_the_bytes_that_it_was_made_of() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9vYg==", "foob"), ("z79/", "\u{3ff}\u{7f}")]
        {
            assert_eq!(decoded(text).expect(text), bytes.as_bytes());
        }
        assert_eq!(decoded("Zm 9"), None);
        assert_eq!(longest_of_text("AAAAAGFiYwBkZQ=="), Ok(3));
        assert!(longest_of_text("/////wA=").is_err_and(|problem| problem.contains("4294967295")));
        assert!(longest_of_text("-").is_err_and(|problem| problem.contains("not base64")));
    }
}
