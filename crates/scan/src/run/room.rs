//! Asking for room before anything is run: what finds none is cut further than was planned, and measured all the same.

use std::ops::Range;

use neuro_path::LayerPath;

use super::{Experiment, Ongoing};
use crate::memory::{Costs, has_room};
use crate::portion::Portion;
use crate::work::{Volume, own_visits, unit_work};
use crate::{Plan, Residence, Subject};

const IN_PARTS: &str = "less memory is free than was planned with; questions are asked in smaller parts";
const STREAMED: &str = "less memory is free than the weights need; they are read layer by layer";
const NO_ROOM: &str = "less memory is free than one question needs along one path; it is tried all the same; should the \
                       system end the process for it, free some, or run it again with --memory below what is free";
pub(super) const NO_ROOM_FOR_PATH: &str = "less memory is free than a path needs; it is tried all the same";

impl Experiment<'_> {
    /// Leaves the weights on disk where there is no room for them and one question, however much was planned with.
    pub(super) fn find_room_for_weights(&mut self, subject: &Subject, probe: usize) {
        let plan = self.plan;
        if self.residence != Residence::Held || subject.weight_bytes_held() > 0 {
            return;
        }
        let longest = plan.asked[probe].iter().max_by_key(|asked| asked.span());
        let path = plan.paths.iter().max_by_key(|path| own_visits(path));
        let (Some(longest), Some(path)) = (longest, path) else { return };
        let scoring = plan.probes[probe].scoring();
        let needed = self.costs.needed(std::slice::from_ref(path), Volume::of([longest]), scoring);
        if !has_room(subject.device(), needed) {
            self.say_once(STREAMED);
            self.residence = Residence::Streamed;
            self.costs = Costs::new(subject, &plan.paths, self.residence).with_held(self.costs.held());
        }
    }

    /// The portions of a chunk of questions as there is room for them now: these, or the same groups over halves of the questions,
    /// and so on. Their samples are those of the chunk but for floating-point order.
    pub(super) fn find_room_for_questions(
        &mut self,
        subject: &Subject,
        ongoing: &mut Ongoing<'_>,
        chunk: &[Portion],
    ) -> Vec<Portion> {
        let (plan, probe, costs) = (self.plan, ongoing.probe, self.costs);
        let scoring = plan.probes[probe].scoring();
        let open = chunk.iter().filter(|portion| self.is_open(probe, portion));
        let groups = open.map(|portion| portion.paths.iter().map(|&path| plan.paths[path].clone()).collect());
        let greediest = groups.max_by_key(|group: &Vec<LayerPath>| costs.group(group, chunk[0].volume, scoring));
        let Some(group) = greediest else { return chunk.to_vec() };
        let path = group.iter().max_by_key(|path| costs.group(std::slice::from_ref(path), chunk[0].volume, scoring));
        let fits = |questions: &Range<usize>| {
            let volume = plan.volume(probe, questions.clone());
            // A group that has no room with one question is itself run in parts.
            let paths = path.filter(|_| questions.len() == 1).map_or(&group[..], std::slice::from_ref);
            let needed = costs.trunk(volume, scoring).saturating_add(costs.group(paths, volume, scoring));
            has_room(subject.device(), needed)
        };
        let (parts, all_fit) = halves(chunk[0].questions.clone(), &fits);
        if !all_fit {
            self.say_once(NO_ROOM);
        }
        if parts.len() == 1 {
            return chunk.to_vec();
        }
        self.say_once(IN_PARTS);
        let portions = parts.into_iter().flat_map(|questions| {
            let volume = plan.volume(probe, questions.clone());
            let over = move |portion: &Portion| Portion { questions: questions.clone(), volume, ..portion.clone() };
            chunk.iter().map(over)
        });
        let portions: Vec<Portion> = portions.collect();
        // What questions begin with alike is now run once for each part.
        let ((whole, whole_done), (total, done)) = (self.tally(probe, chunk), self.tally(probe, &portions));
        self.progress.work_total += total.saturating_sub(whole);
        self.progress.work_done += done.saturating_sub(whole_done);
        for portion in chunk {
            for &path in &portion.paths {
                ongoing.work[path] -= unit_work(&plan.paths[path], portion.volume);
            }
        }
        ongoing.plan(plan, &portions);
        portions
    }

    pub(super) fn say_once(&mut self, note: &'static str) {
        if !self.said.contains(&note) {
            self.said.push(note);
            self.observer.note(note);
        }
    }
}

impl Plan {
    /// What questions cost, by their places in the order in which they are asked.
    fn volume(&self, probe: usize, places: Range<usize>) -> Volume {
        Volume::of(self.order[probe][places].iter().map(|&question| &self.asked[probe][question]))
    }
}

/// The parts of a range that are run one after another: all of it where that fits, else its halves, and so on; and whether each
/// fits. A single place that does not fit is a part all the same.
fn halves(range: Range<usize>, fits: &dyn Fn(&Range<usize>) -> bool) -> (Vec<Range<usize>>, bool) {
    if fits(&range) {
        return (vec![range], true);
    }
    if range.len() < 2 {
        return (vec![range], false);
    }
    let middle = range.start + range.len() / 2;
    let (mut parts, first_fit) = halves(range.start..middle, fits);
    let (others, others_fit) = halves(middle..range.end, fits);
    parts.extend(others);
    (parts, first_fit && others_fit)
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn questions_without_room_are_halved_until_there_is() {
        // What each question takes.
        let needed = [4, 1, 1, 1, 9, 2, 2];
        let parts = |free: usize| {
            let (parts, all_fit) = halves(0..7, &|range| needed[range.clone()].iter().sum::<usize>() <= free);
            (parts.into_iter().map(|part| [part.start, part.end]).collect::<Vec<_>>(), all_fit)
        };
        assert_eq!(parts(20), (vec![[0, 7]], true));
        assert_eq!(parts(13), (vec![[0, 3], [3, 5], [5, 7]], true));
        assert_eq!(parts(9), (vec![[0, 3], [3, 4], [4, 5], [5, 7]], true));
        assert_eq!(parts(4), (vec![[0, 1], [1, 3], [3, 4], [4, 5], [5, 7]], false));
    }
}
