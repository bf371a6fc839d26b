//! A file of lines that only grows: one JSON object per line, appended and synced in one piece.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::RecordError;

/// Longest line in bytes: the longest path (65,536 visits, each at most twice with scales) stays below it.
const LONGEST_LINE: u64 = 32 * 1024 * 1024;

/// What a file of lines was found to hold.
pub(crate) struct Contents {
    /// Bytes up to the end of the last whole line; what lies behind is torn.
    pub(crate) length: u64,
}

/// Calls `take` with the number (from 1) and value of every line. A missing file has no lines. A last line without a
/// line feed, or with text that is no JSON, was torn by a kill and is left out; elsewhere it is an error.
pub(crate) fn read_lines<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(usize, T) -> Result<(), RecordError>,
) -> Result<Contents, RecordError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents { length: 0 }),
        Err(error) => return Err(RecordError::io("open", path)(error)),
    };
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut text = Vec::new();
    let mut length = 0;
    for line in 1.. {
        text.clear();
        let damaged = |reason| RecordError::Line { file: path.to_owned(), line, reason };
        let read =
            reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text).map_err(RecordError::io("read", path))?;
        if read as u64 == LONGEST_LINE && !text.ends_with(b"\n") {
            return Err(damaged(format!("longer than {LONGEST_LINE} bytes")));
        }
        if !text.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice(&text) {
            Ok(value) => take(line, value)?,
            Err(error) => {
                let last = reader.fill_buf().map_err(RecordError::io("read", path))?.is_empty();
                // Whole JSON of another shape was not torn: somebody else wrote it.
                if last && serde_json::from_slice::<IgnoredAny>(&text).is_err() {
                    break;
                }
                // The parser sees one line and calls it line 1, which would contradict ours.
                let reason = error.to_string().replace(" at line 1 column ", " at column ");
                return Err(damaged(format!("not a line of this file: {reason}")));
            }
        }
        length += read as u64;
    }
    Ok(Contents { length })
}

/// The writing end. The run's lock keeps every other writer away.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    /// Bytes known to be whole lines.
    length: u64,
    closed: bool,
}

impl Log {
    /// Opens or creates the file and cuts it to `length`.
    pub(crate) fn open(path: PathBuf, length: u64) -> Result<Self, RecordError> {
        // Not in append mode: Windows would then refuse to cut a torn line.
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(RecordError::io("open", &path))?;
        let cut = file.metadata().and_then(|metadata| {
            if metadata.len() != length {
                file.set_len(length)?;
                file.sync_all()?;
            }
            file.seek(SeekFrom::Start(length))
        });
        cut.map_err(RecordError::io("cut the torn last line of", &path))?;
        Ok(Self { file, path, length, closed: false })
    }

    /// Appends the values as lines with one write, and returns when they are on the disk. After a failure the file is
    /// cut back to its whole lines as far as possible, and the log takes nothing more.
    pub(crate) fn append<T: Serialize>(&mut self, values: &[T]) -> Result<(), RecordError> {
        if self.closed {
            return Err(RecordError::Closed { file: self.path.clone() });
        }
        let mut text = Vec::new();
        for value in values {
            let start = text.len();
            serde_json::to_writer(&mut text, value).map_err(|error| self.refused(error.to_string()))?;
            text.push(b'\n');
            if (text.len() - start) as u64 >= LONGEST_LINE {
                return Err(self.refused(format!("longer than {LONGEST_LINE} bytes")));
            }
        }
        if let Err(cause) = self.file.write_all(&text).and_then(|()| self.file.sync_data()) {
            self.closed = true;
            // If this fails as well, the torn line is cut when the run resumes.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
            return Err(RecordError::io("append to", &self.path)(cause));
        }
        self.length += text.len() as u64;
        Ok(())
    }

    fn refused(&self, reason: String) -> RecordError {
        RecordError::Refused { what: format!("a line of {}", self.path.display()), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(path: &Path) -> Result<(Vec<u32>, u64), RecordError> {
        let mut found = Vec::new();
        let contents = read_lines(path, |_, value: u32| {
            found.push(value);
            Ok(())
        })?;
        Ok((found, contents.length))
    }

    #[test]
    fn only_the_last_line_may_be_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers");
        let read = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            numbers(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b""), Ok((vec![], 0)));
        assert_eq!(read(b"1\n2\n"), Ok((vec![1, 2], 4)));
        assert_eq!(read(b"1\n2"), Ok((vec![1], 2)));
        assert_eq!(read(b"1\n{\"a\n"), Ok((vec![1], 2)));
        assert_eq!(read(b"1\n\0\0\0\n"), Ok((vec![1], 2)));
        assert_eq!(read(b"1\r\n2\r\n"), Ok((vec![1, 2], 6)));
        assert!(read(b"1\n{\"a\n3\n").unwrap_err().contains("numbers, line 2: not a line of this file"));
        // Valid JSON of another shape is not torn, also not at the end.
        assert!(read(b"1\n\"two\"\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn a_failed_write_names_the_file_and_closes_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers");
        std::fs::write(&path, "1\n").unwrap();
        // A handle for reading refuses to write on every system.
        let mut log = Log { file: File::open(&path).unwrap(), path: path.clone(), length: 2, closed: false };
        let error = log.append(&[2]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot append to {}", path.display())), "{error}");
        assert!(matches!(log.append(&[2]), Err(RecordError::Closed { .. })));
        assert_eq!(numbers(&path).unwrap(), (vec![1], 2));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_comes_with_advice() {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let mut log = Log { file, path, length: 0, closed: false };
        let error = log.append(&[1]).unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("free some space"), "{error}");
    }
}
