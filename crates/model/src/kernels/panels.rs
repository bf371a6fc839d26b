//! A weight by panels of outputs, in the order in which products read them.

use rayon::prelude::*;

use super::pages::{Pages, Plain};

/// How outputs are laid into panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// One after the other.
    Behind,
    /// Two weights of as many outputs each, a panel of the first and one of the second in turn, so that one piece of work
    /// has what belongs together.
    InTurn,
}

/// Panels that are filled in the order in which their weights come.
#[derive(Debug)]
pub(crate) struct Panels<S> {
    steps: Pages<S>,
    per_panel: usize,
    panels: usize,
    order: Order,
    /// Panels that have been filled.
    filled: usize,
}

impl<S: Plain + Send + Sync> Panels<S> {
    /// Panels of so many steps each, zero at first; an even number of them where two weights take turns.
    pub(crate) fn new(per_panel: usize, panels: usize, order: Order) -> Self {
        Self { steps: Pages::zeroed(panels * per_panel), per_panel, panels, order, filled: 0 }
    }

    /// Steps of each.
    pub(crate) fn per_panel(&self) -> usize {
        self.per_panel
    }

    /// The steps of all panels from this one on.
    pub(crate) fn from(&self, panel: usize) -> &[S] {
        &self.steps.get()[panel * self.per_panel..]
    }

    /// The next panels to be filled, at most so many; of two weights that take turns, those of one.
    pub(crate) fn next(&mut self, count: usize) -> impl IndexedParallelIterator<Item = &mut [S]> {
        let (first, apart) = match self.order {
            Order::Behind => (self.filled, 1),
            Order::InTurn if self.filled < self.panels / 2 => (2 * self.filled, 2),
            Order::InTurn => (2 * (self.filled - self.panels / 2) + 1, 2),
        };
        self.filled += count;
        // No weight has no inputs; the kernels refuse it.
        let steps = self.per_panel.max(1);
        self.steps.get_mut().par_chunks_mut(steps).skip(first).step_by(apart).take(count)
    }

    /// All steps.
    #[cfg(test)]
    pub(crate) fn all(&self) -> &[S] {
        self.steps.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weights_take_turns() {
        for (order, expected) in [(Order::Behind, [0, 1, 2, 3, 4, 5]), (Order::InTurn, [0, 3, 1, 4, 2, 5])] {
            let mut panels: Panels<u64> = Panels::new(2, 6, order);
            let mut value = 0;
            for count in [1, 2, 3] {
                let given: Vec<&mut [u64]> = panels.next(count).collect();
                assert_eq!(given.len(), count);
                for panel in given {
                    panel.fill(value);
                    value += 1;
                }
            }
            let found: Vec<u64> = panels.all().chunks(2).map(|panel| panel[1]).collect();
            assert_eq!(found, expected);
            assert_eq!((panels.from(5), panels.per_panel()), (&[5, 5][..], 2));
        }
    }
}
