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

/// A row of values that grows up to its capacity and stays where it is.
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
    /// Room for so many values.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let own = if capacity.saturating_mul(size_of::<T>()) < FROM { None } else { Self::own(capacity) };
        Self { store: own.map_or_else(|| Store::Heap(Vec::with_capacity(capacity)), Store::Own), len: 0 }
    }

    /// None where the system gives none; the heap's own answer to that is the process's end.
    fn own(capacity: usize) -> Option<MmapMut> {
        let map = MmapMut::map_anon(capacity * size_of::<T>()).ok()?;
        // Only a wish: a system without larger pages refuses it, and the map is as good as any.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Some(map)
    }

    /// Adds so many values, zero at first, and gives them.
    pub(crate) fn grow(&mut self, count: usize) -> &mut [T] {
        let start = self.len;
        self.len += count;
        if let Store::Own(map) = &self.store
            && map.len() < self.len * size_of::<T>()
        {
            // More than there was to be room for.
            self.store = Store::Heap(values(map)[..start].to_vec());
        }
        match &mut self.store {
            Store::Heap(values) => {
                values.resize(self.len, T::default());
                &mut values[start..]
            }
            Store::Own(map) => &mut values_mut(map)[start..self.len],
        }
    }

    /// All values.
    pub(crate) fn get(&self) -> &[T] {
        match &self.store {
            Store::Heap(values) => values,
            Store::Own(map) => &values(map)[..self.len],
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
        for capacity in [3, FROM / size_of::<u64>() + 5] {
            let mut pages: Pages<u64> = Pages::with_capacity(capacity);
            assert!(pages.get().is_empty());
            // The last part is more than there was to be room for.
            for (part, count) in [(1, 2), (2, capacity - 2), (3, 4)] {
                let room = pages.grow(count);
                assert!(room.len() == count && room.iter().all(|value| *value == 0));
                room.fill(part);
            }
            assert_eq!(pages.get().len(), capacity + 4);
            assert_eq!([1, 2, capacity - 1, capacity].map(|place| pages.get()[place]), [1, 2, 2, 3]);
        }
    }
}
