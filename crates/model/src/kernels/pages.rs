//! Large weights in large pages.
//!
//! A product walks through its weights once; with pages of 4 KiB it needs a new address every few hundred nanoseconds, and
//! the processor fetches nothing ahead across their borders. Where the system has larger ones (Linux), weights of some MiB
//! ask for them.

use memmap2::MmapMut;

/// Bytes from which weights get pages of their own: two of the large ones.
const FROM: usize = 4 << 20;

/// What may lie in memory that the system gives: plain numbers.
///
/// # Safety
/// All bytes zero must be a value, and the alignment at most a page's.
#[expect(unsafe_code, reason = "what a value may be cannot be told to the compiler otherwise")]
pub(crate) unsafe trait Plain: Copy + Default {}

/// A row of values that stays where it is.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    store: Store<T>,
    len: usize,
}

#[derive(Debug)]
enum Store<T> {
    Heap(Vec<T>),
    Own(MmapMut),
}

impl<T: Plain> Pages<T> {
    /// So many values, all bytes zero.
    pub(crate) fn zeroed(len: usize) -> Self {
        let own = if len.saturating_mul(size_of::<T>()) < FROM { None } else { Self::own(len) };
        Self { store: own.map_or_else(|| Store::Heap(vec![T::default(); len]), Store::Own), len }
    }

    /// None where the system gives none; the heap's own answer to that is the process's end.
    fn own(len: usize) -> Option<MmapMut> {
        let map = MmapMut::map_anon(len * size_of::<T>()).ok()?;
        // Only a wish: a system without larger pages refuses it, and the map is as good as any.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Some(map)
    }

    /// All values.
    pub(crate) fn get(&self) -> &[T] {
        match &self.store {
            Store::Heap(values) => values,
            Store::Own(map) => &values(map)[..self.len],
        }
    }

    /// All values, to be written.
    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        match &mut self.store {
            Store::Heap(values) => values,
            Store::Own(map) => &mut values_mut(map)[..self.len],
        }
    }
}

// SAFETY, for both: a `Plain` value may be any bytes that were written as one or are zero, which a map is at first; the
// map begins at a page, so nothing comes before the first whole value.

#[expect(unsafe_code, reason = "bytes are read as the values that they are")]
fn values<T: Plain>(map: &MmapMut) -> &[T] {
    unsafe { map.align_to::<T>().1 }
}

#[expect(unsafe_code, reason = "bytes are written as the values that they become")]
fn values_mut<T: Plain>(map: &mut MmapMut) -> &mut [T] {
    unsafe { map.align_to_mut::<T>().1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: zero is a value.
    #[expect(unsafe_code, reason = "something that is plain")]
    unsafe impl Plain for u64 {}

    #[test]
    fn small_and_large_ones_hold_what_they_are_given() {
        for len in [0, 3, FROM / size_of::<u64>() + 5] {
            let mut pages: Pages<u64> = Pages::zeroed(len);
            assert!(pages.get().len() == len && pages.get().iter().all(|value| *value == 0));
            for (place, value) in pages.get_mut().iter_mut().enumerate() {
                *value = 3 * place as u64;
            }
            assert!(pages.get().iter().enumerate().all(|(place, value)| *value == 3 * place as u64));
        }
    }
}
