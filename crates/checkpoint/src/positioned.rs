//! Reading a file at a position. Threads may read at once, and what goes wrong is an error, where a mapped file that is
//! cut or sits on a failing disk ends the process.

use std::fs::File;
use std::io::{self, ErrorKind};

/// A file that is read at positions, never from where the last reading ended.
pub(crate) struct PositionedFile {
    file: File,
    /// Where positions cannot be given with a reading: seek and read must not be parted.
    #[cfg(not(any(unix, windows)))]
    lock: std::sync::Mutex<()>,
}

impl PositionedFile {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(not(any(unix, windows)))]
            lock: std::sync::Mutex::new(()),
        }
    }

    /// Fills the buffer with the bytes from `offset` on.
    pub(crate) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => {
                    let message = format!("the file ends at byte {offset}: it was cut or replaced after it was opened");
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
                }
                Ok(count) => {
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)
    }

    #[cfg(not(any(unix, windows)))]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        use std::io::{Read, Seek, SeekFrom};
        let _held = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_read_at_their_own_positions_and_the_end_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = PositionedFile::new(File::open(&path).unwrap());
        std::thread::scope(|scope| {
            for start in 0..4_usize {
                let (file, bytes) = (&file, &bytes);
                scope.spawn(move || {
                    for start in (start * 1000..150_000).step_by(7001) {
                        let mut buffer = vec![0; 3000];
                        file.read_exact_at(&mut buffer, start as u64).unwrap();
                        assert_eq!(buffer, bytes[start..start + 3000]);
                    }
                });
            }
        });
        let error = file.read_exact_at(&mut [0; 9], 199_992).unwrap_err();
        assert!(error.to_string().contains("ends at byte 200000"), "{error}");
        assert!(file.read_exact_at(&mut [0; 8], 199_992).is_ok());
        assert!(file.read_exact_at(&mut [], 300_000).is_ok());
    }
}
