//! Values of flags that are more than a number or a word.

use std::str::FromStr;

/// An amount of memory in bytes, written `8GiB`, `512MiB`, `8GB` or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemorySize(pub(crate) u64);

const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((&lower, 1));
        let number: f64 = number.trim().parse().map_err(|_| "write a size such as 8GiB, 512MiB or 1.5GB".to_owned())?;
        let size = number * bytes as f64;
        if !size.is_finite() || size < 1.0 || size > i64::MAX as f64 {
            return Err("a size is at least one byte and below 8 EiB".to_owned());
        }
        Ok(Self(size as u64))
    }
}

/// How many questions a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Questions {
    /// This many.
    Some(usize),
    /// Every question there is.
    All,
}

impl FromStr for Questions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            _ => match text.parse() {
                Ok(0) | Err(_) => Err("write a number of questions from 1, or `all`".to_owned()),
                Ok(count) => Ok(Self::Some(count)),
            },
        }
    }
}

/// A probe that can be asked, `NAME` or `NAME=FILE`.
pub(crate) fn probe_name(text: &str) -> Result<String, String> {
    let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
    if !is_probe(name) {
        return Err(match name.split_once(':') {
            Some((base, scoring)) if is_probe(base) => {
                let ways = ["likelihood", "acc", "acc-norm"].map(|way| format!("{base}:{way}"));
                let known: Vec<String> = ways.into_iter().filter(|way| is_probe(way)).collect();
                let ask = [base.to_owned()].into_iter().chain(known).collect::<Vec<_>>().join(", ");
                format!("`{scoring}` is no way to score `{base}`; ask {ask}")
            }
            _ => {
                let (own, files) = (neuro_probe::PROBES.join(", "), neuro_probe::TASKS.join("=FILE, "));
                format!("the probes are {own}, and of files {files}=FILE")
            }
        });
    }
    match file {
        Some("") => Err(format!("write the file behind the sign, `{name}=FILE`, or leave both out")),
        _ => Ok(text.to_owned()),
    }
}

fn is_probe(name: &str) -> bool {
    neuro_probe::Probe::is_known(name) || neuro_probe::is_task(name)
}

/// A probe that can be asked beside another, or `none`.
pub(crate) fn guard_name(text: &str) -> Result<String, String> {
    if text == "none" { Ok(text.to_owned()) } else { probe_name(text) }
}

/// A number from 1.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number from 1".to_owned())
}

/// A part of a whole, above 0 and up to 1.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(part) if part > 0.0 && part <= 1.0 => Ok(part),
        _ => Err("write a part above 0 and up to 1, such as 0.2".to_owned()),
    }
}

/// Token ids, written `1,2,3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens(pub(crate) Vec<u32>);

impl FromStr for Tokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let token = |part: &str| {
            part.trim().parse().map_err(|_| format!("`{}` is no token id; write ids as 1,2,3", part.trim()))
        };
        text.split(',').map(token).collect::<Result<_, _>>().map(Self)
    }
}

/// A number of bytes as people read it: `1.4 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let unit = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match unit.iter().find(|(_, size)| count >= *size) {
        Some((name, size)) => format!("{:.1} {name}", count as f64 / *size as f64),
        None => format!("{count} bytes"),
    }
}

/// A number with a comma before every three digits: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text broken between words, so that no line is longer than `columns`; all lines but the first begin with `indent`
/// spaces, and the first is taken to begin there.
pub(crate) fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let mut broken = String::new();
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > columns {
            broken.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        } else if index > 0 {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(word);
        column += length;
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_are_read_with_every_unit() {
        assert_eq!("8GiB".parse(), Ok(MemorySize(8 << 30)));
        assert_eq!("1.5 gb".parse(), Ok(MemorySize(1_500_000_000)));
        assert_eq!("512".parse(), Ok(MemorySize(512)));
        for wrong in ["", "GiB", "-1GiB", "0", "nan", "inf", "8 parsecs", "9e99TiB"] {
            assert!(wrong.parse::<MemorySize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn questions_are_counted_or_all() {
        assert_eq!("all".parse(), Ok(Questions::All));
        assert_eq!("32".parse(), Ok(Questions::Some(32)));
        assert!("0".parse::<Questions>().is_err());
    }

    #[test]
    fn a_part_is_none_and_more_than_all_neither() {
        assert_eq!((part("0.2"), part("1")), (Ok(0.2), Ok(1.0)));
        for wrong in ["0", "-0.1", "1.01", "nan", "inf", "a fifth", ""] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_a_list_of_ids() {
        assert_eq!("1, 2,3".parse(), Ok(Tokens(vec![1, 2, 3])));
        assert!("1,,3".parse::<Tokens>().is_err());
        assert!("-1".parse::<Tokens>().is_err());
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1_500_000), "1.4 MiB");
    }

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(wrapped("one two three", 0, 7), "one two\nthree");
        assert_eq!(wrapped("one two three", 2, 7), "one\n  two\n  three");
        assert_eq!(wrapped("unbreakable", 0, 4), "unbreakable");
    }
}
