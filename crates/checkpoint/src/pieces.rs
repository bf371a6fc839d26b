//! A long row of numbers filled piece by piece, on several threads.

use std::sync::{LazyLock, Mutex, PoisonError};

/// Numbers of one piece: 256 KiB of stored bf16, so that a piece stays in a core's cache between reading and converting.
pub(crate) const PIECE: usize = 1 << 17;

/// More threads than this read no faster; with their buffers they take at most 4 MiB.
const MOST_THREADS: usize = 8;

/// Asking takes longer than a small tensor.
static THREADS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS));

/// Calls `fill` for every piece of `values` with the position of its first number, the piece, and a buffer that the
/// thread keeps. Pieces have `length` numbers, the last perhaps fewer.
///
/// # Errors
///
/// That of the first piece, in the order of the values, that cannot be filled.
pub(crate) fn fill<E: Send>(
    values: &mut [f32],
    length: usize,
    fill: impl Fn(usize, &mut [f32], &mut Vec<u8>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let length = length.max(1);
    let threads = values.len().div_ceil(length).min(*THREADS);
    let pieces = Mutex::new(values.chunks_mut(length).enumerate());
    let failed: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let work = || {
        let mut buffer = Vec::new();
        loop {
            // Pieces are given out in order, so that all before a failing one are filled or fail as well.
            let stop = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
            let (false, Some((number, piece))) = (stop, next) else { return };
            if let Err(error) = fill(number * length, piece, &mut buffer) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(other, _)| number < *other) {
                    *failed = Some((number, error));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_filled_once_and_the_first_failure_is_told() {
        for (count, length) in [(0, 5), (1, 5), (10, 5), (1003, 10), (3, 0)] {
            let mut values = vec![-1.0; count];
            let write = |start: usize, piece: &mut [f32], _: &mut Vec<u8>| {
                for (offset, value) in piece.iter_mut().enumerate() {
                    assert_eq!(*value, -1.0);
                    *value = (start + offset) as f32;
                }
                Ok::<(), ()>(())
            };
            assert_eq!(fill(&mut values, length, write), Ok(()));
            assert!((0..count).all(|position| values[position] == position as f32));
        }
        for _ in 0..50 {
            let fail = |start: usize, _: &mut [f32], _: &mut Vec<u8>| if start >= 30 { Err(start) } else { Ok(()) };
            assert_eq!(fill(&mut [0.0; 100], 10, fail), Err(30));
        }
    }
}
