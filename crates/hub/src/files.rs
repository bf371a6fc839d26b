//! Names of files, which are foreign: what may become a path, and which GGUF files are parts of one model.

/// Longest part of a path that every file system takes.
const LONGEST_PART: usize = 255;
/// Longest name of a file, folders included.
const LONGEST: usize = 1024;

/// Whether a name of a file stays in its folder on every system: parts joined by `/`, none of them empty, `.` or `..`,
/// and without back slashes, drive letters, streams, control characters and what Windows takes for something else.
pub(crate) fn is_inside(file: &str) -> bool {
    let is_plain = |part: &str| {
        part.len() <= LONGEST_PART
            && is_itself(part)
            && !part.chars().any(|letter| matches!(letter, '\\' | ':') || letter.is_control())
    };
    file.len() <= LONGEST && file.split('/').all(is_plain)
}

/// Whether a part of a path means itself on Windows too, which drops dots and spaces at the end, and knows devices by
/// their names in every folder and with every ending ("Naming Files, Paths, and Namespaces" of its documentation).
pub(crate) fn is_itself(part: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_lowercase();
    let is_port = ["com", "lpt"].iter().any(|port| {
        stem.strip_prefix(port).is_some_and(|number| {
            let mut letters = number.chars();
            let digit = letters.next().is_some_and(|letter| letter.is_ascii_digit() || "¹²³".contains(letter));
            digit && letters.next().is_none()
        })
    });
    !part.is_empty() && !part.ends_with(['.', ' ']) && !is_port && !DEVICES.contains(&stem.as_str())
}

/// Whether a file's name ends as that of a GGUF file.
pub(crate) fn is_gguf(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && ending.eq_ignore_ascii_case("gguf"))
}

/// A file that says which part of its model it is: `PREFIX-00001-of-00003.gguf`.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    prefix: &'a str,
    number: usize,
    /// How many there are, as it is written.
    total: &'a str,
    ending: &'a str,
}

impl<'a> Part<'a> {
    fn read(file: &'a str) -> Option<Self> {
        let number = |text: &str| -> Option<usize> {
            let is_number = text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
            text.parse().ok().filter(|_| is_number)
        };
        let (stem, ending) = file.rsplit_once('.')?;
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (prefix, which) = rest.rsplit_once('-')?;
        let part = Self { prefix, number: number(which)?, total, ending };
        (1..=number(total)?).contains(&part.number).then_some(part)
    }
}

/// All files of a GGUF model: one, or those that `NAME-00001-of-00003.gguf` counts.
pub(crate) fn parts(file: &str) -> Vec<String> {
    let Some(Part { prefix, total, ending, .. }) = Part::read(file) else { return vec![file.to_owned()] };
    let count: usize = total.parse().unwrap_or(1);
    (1..=count).map(|number| format!("{prefix}-{number:05}-of-{total}.{ending}")).collect()
}

/// Whether a file stands for its model: the only one, or the first.
#[cfg(feature = "download")]
pub(crate) fn is_first(file: &str) -> bool {
    Part::read(file).is_none_or(|part| part.number == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder() {
        for file in
            ["config.json", "a/b.jinja", "..a", "a..b", "console.json", "com10.gguf", "null", "a b.gguf", "ü.gguf"]
        {
            assert!(is_inside(file), "{file}");
        }
        for file in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "./a",
            "a\\b",
            "C:a",
            "a\nb",
            "a/.. /b",
            "a/... /b",
            "a.",
            "a ",
            "b ./a",
            "aux.gguf",
            "x/NUL",
            "Con .json",
            "lpt1",
            "com¹.txt",
            "a/CONIN$",
        ] {
            assert!(!is_inside(file), "{file}");
        }
        assert!(!is_inside(&"a".repeat(256)) && !is_inside(&"a/".repeat(600)));
    }

    #[test]
    fn parts_are_named_by_one_of_them() {
        assert_eq!(
            parts("a/M-00002-of-00003.gguf"),
            ["a/M-00001-of-00003.gguf", "a/M-00002-of-00003.gguf", "a/M-00003-of-00003.gguf"]
        );
        for single in [
            "M.gguf",
            "M-2-of-3.gguf",
            "M-00004-of-00003.gguf",
            "M-00000-of-00000.gguf",
            "-of-.gguf",
            "M-+0001-of-00002.gguf",
        ] {
            assert_eq!(parts(single), [single]);
        }
        assert_eq!(parts("M-00001-of-99999.gguf").len(), 99_999);
    }

    #[cfg(feature = "download")]
    #[test]
    fn the_first_part_stands_for_its_model() {
        assert!(is_first("M.gguf") && is_first("M-00001-of-99999.gguf") && is_first("M-00004-of-00003.gguf"));
        assert!(!is_first("M-00002-of-99999.gguf"));
    }
}
