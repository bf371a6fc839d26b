//! Paths made of other paths: layers inserted anywhere, a second pass in another order, a second pass elsewhere.
//!
//! They are what a finalist is compared with: controls have its number of extra visits and nothing else of it, shams
//! have its layers and either not its order or not its place.

use crate::layer_path::check_layer;
use crate::{LayerPath, PathError, Step};

impl LayerPath {
    /// The baseline with extra visits: each `(place, layer)` runs `layer` before the baseline's layer of number `place`,
    /// or behind the last one where `place` is the depth. Of equal places the earlier entry runs first.
    ///
    /// # Errors
    /// Refuses places above the depth, layers that do not exist, and too long a path.
    pub fn with_insertions(depth: usize, insertions: &[(usize, usize)]) -> Result<Self, PathError> {
        for &(place, layer) in insertions {
            if place > depth {
                let advice = "; a visit is inserted before a layer or behind the last one";
                return Err(PathError::LayerOutOfRange { layer: place, depth, advice });
            }
            check_layer(layer, depth, "")?;
        }
        let mut layers = Vec::with_capacity(depth + insertions.len());
        for place in 0..=depth {
            let inserted = insertions.iter().filter(|(at, _)| *at == place);
            layers.extend(inserted.map(|&(_, layer)| layer));
            layers.extend((place < depth).then_some(place));
        }
        Self::from_layers(&layers, depth)
    }

    /// Positions of the visits whose layer has run before: for a block `(i, j)` those of its second pass, in order.
    #[must_use]
    pub fn repeats(&self) -> Vec<usize> {
        let passes = self.visits().into_iter().enumerate();
        passes.filter(|(_, visit)| visit.pass > 0).map(|(position, _)| position).collect()
    }

    /// The same path with its repeats in another order: place `k` of [`LayerPath::repeats`] runs what stood at place
    /// `order[k]`. None where `order` does not name each of them once, or where the path stays the same.
    #[must_use]
    pub fn with_repeats_in_order(&self, order: &[usize]) -> Option<Self> {
        let repeats = self.repeats();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..repeats.len()) {
            return None;
        }
        let mut steps = self.steps().to_vec();
        for (&position, &from) in repeats.iter().zip(order) {
            steps[position] = self.steps()[repeats[from]];
        }
        self.changed(steps)
    }

    /// The same path with all its repeats, in their order, as one run in front of the first pass's step of number
    /// `place`, or behind its last one. None where there is no such place or no repeat, or where the path stays the
    /// same.
    #[must_use]
    pub fn with_repeats_at(&self, place: usize) -> Option<Self> {
        let repeats = self.repeats();
        let first_pass = |position: &usize| repeats.binary_search(position).is_err();
        let mut steps: Vec<Step> = (0..self.len()).filter(first_pass).map(|position| self.steps()[position]).collect();
        if place > steps.len() {
            return None;
        }
        steps.splice(place..place, repeats.iter().map(|&position| self.steps()[position]));
        self.changed(steps)
    }

    fn changed(&self, steps: Vec<Step>) -> Option<Self> {
        let changed = Self::from_steps(steps, self.depth()).ok()?;
        (changed != *self).then_some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text, 6).unwrap()
    }

    #[test]
    fn visits_are_inserted_before_their_place() {
        let inserted = |list: &[(usize, usize)]| LayerPath::with_insertions(6, list).map(|path| path.to_string());
        assert_eq!(inserted(&[]).unwrap(), "0..5");
        assert_eq!(inserted(&[(3, 1), (3, 2)]).unwrap(), "0..2,1..5");
        assert_eq!(inserted(&[(6, 0), (0, 5)]).unwrap(), "5,0..5,0");
        assert!(inserted(&[(7, 0)]).unwrap_err().to_string().contains("behind the last one"));
        assert!(inserted(&[(0, 6)]).is_err());
    }

    #[test]
    fn a_second_pass_runs_in_another_order() {
        let block = path("(1,4)");
        assert_eq!(block.repeats(), [4, 5, 6]);
        assert_eq!(block.with_repeats_in_order(&[2, 0, 1]).unwrap().to_string(), "0..3,3,1..2,4..5");
        for wrong in [&[0, 1, 2][..], &[0, 1], &[0, 1, 1], &[1, 2, 3]] {
            assert_eq!(block.with_repeats_in_order(wrong), None, "{wrong:?}");
        }
        // Three times the same layer has one order.
        assert_eq!(path("0..2,2x2,3..5").with_repeats_in_order(&[1, 0]), None);
        // Scales stay with the layer.
        let damped = path("0..3,2{mlp=0},3,4..5").with_repeats_in_order(&[1, 0]).unwrap();
        assert_eq!(damped.to_string(), "0..3,3,2{mlp=0},4..5");
    }

    #[test]
    fn a_second_pass_moves() {
        let block = path("(1,4)");
        let at = |place: usize| block.with_repeats_at(place).map(|path| path.to_string());
        assert_eq!(at(0).unwrap(), "1..3,0..5");
        assert_eq!(at(6).unwrap(), "0..5,1..3");
        assert_eq!(at(2).unwrap(), "0..1,1..3,2..5");
        // Before and behind itself a block gives the same path.
        assert_eq!((at(4), at(1), at(7)), (None, None, None));
        assert_eq!(path("..").with_repeats_at(3), None);
        assert_eq!(path("0,2..3,2,5").with_repeats_at(4).unwrap().to_string(), "0,2..3,5,2");
    }
}
