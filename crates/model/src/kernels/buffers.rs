//! Buffers that are used again.
//!
//! What a product makes of its rows is some MiB that live for a few milliseconds. Asked of the system anew each time, they
//! would come as pages that are filled with zeros first, one by one.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers that wait at most; a product has one that it reads and one that it writes.
const KEPT: usize = 3;

/// What a buffer may hold.
pub(crate) trait Reused: Copy + Default + Send + Sync + 'static {
    /// Where buffers of it wait.
    fn buffers() -> &'static Buffers<Self>;
}

/// Buffers that nobody uses at the moment.
#[derive(Debug)]
pub(crate) struct Buffers<T>(Mutex<Vec<Vec<T>>>);

impl<T> Buffers<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Vec<T>>> {
        // A poisoned lock only means that another thread failed; a list of buffers is always whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values in a buffer that waits for others when these are not needed any more.
#[derive(Debug)]
pub(crate) struct Buffer<T: Reused>(Vec<T>);

impl<T: Reused> Buffer<T> {
    /// So many values, which are what was left there.
    pub(crate) fn of(len: usize) -> Self {
        let mut waiting = T::buffers().waiting();
        let fits = |values: &&Vec<T>| values.capacity() >= len;
        let best = waiting.iter().filter(fits).map(Vec::capacity).min();
        // Where none is large enough, the largest makes room for a larger one.
        let best = best.or_else(|| waiting.iter().map(Vec::capacity).max());
        let found = best.and_then(|best| waiting.iter().position(|values| values.capacity() == best));
        let mut values = found.map(|place| waiting.swap_remove(place)).unwrap_or_default();
        drop(waiting);
        if values.capacity() < len {
            values = Vec::with_capacity(len);
        }
        values.resize(len, T::default());
        Self(values)
    }
}

impl<T: Reused> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Reused> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Reused> Drop for Buffer<T> {
    fn drop(&mut self) {
        let mut waiting = T::buffers().waiting();
        if waiting.len() < KEPT {
            waiting.push(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static HERE: Buffers<u16> = Buffers::new();

    impl Reused for u16 {
        fn buffers() -> &'static Buffers<Self> {
            &HERE
        }
    }

    #[test]
    fn what_is_let_go_is_used_again() {
        let capacities = || {
            let mut waiting: Vec<usize> = HERE.waiting().iter().map(Vec::capacity).collect();
            waiting.sort_unstable();
            waiting
        };
        let (mut small, large) = (Buffer::<u16>::of(100), Buffer::<u16>::of(1000));
        assert!(small.len() == 100 && large.iter().all(|value| *value == 0));
        small.fill(7);
        drop((small, large));
        assert_eq!(capacities(), [100, 1000]);
        // The smallest that fits, with what was left in it.
        let again = Buffer::<u16>::of(50);
        assert!(again.len() == 50 && again.iter().all(|value| *value == 7));
        assert_eq!(capacities(), [1000]);
        // None fits: the largest gives way.
        let larger = Buffer::<u16>::of(5000);
        assert!(capacities().is_empty());
        drop((again, larger));
        assert_eq!(capacities(), [100, 5000]);
        let all: Vec<Buffer<u16>> = (0..9).map(|_| Buffer::of(10)).collect();
        drop(all);
        assert_eq!(capacities().len(), KEPT);
    }
}
