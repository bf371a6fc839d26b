//! Guessing what an answer will be from the answers of other paths.

use std::collections::HashMap;

use crate::tokens::TokenTrie;

/// Tokens that one answer may be guessed ahead for each answer that was seen: a guess that fails costs its rows.
const PER_ANSWER: usize = 4;

/// First guesses that count as seen, half of them right, before there is any.
const BELIEVED: f64 = 2.0;
/// First guesses after which what they showed counts half: later paths are other paths.
const FORGOTTEN: f64 = 4096.0;

/// How often each token came behind each text.
#[derive(Debug)]
pub(crate) struct Drafts {
    /// For each text the tokens that came next, as nodes, and how often.
    next: HashMap<u32, Vec<(u32, usize)>>,
    /// How often an answer ended there.
    ends: HashMap<u32, usize>,
    /// Guesses of one token, whether they were run or not, and how many of them were right.
    guessed: f64,
    right: f64,
}

impl Default for Drafts {
    fn default() -> Self {
        Self { next: HashMap::new(), ends: HashMap::new(), guessed: BELIEVED, right: BELIEVED / 2.0 }
    }
}

impl Drafts {
    /// How far ahead it pays to guess in a sweep of so many answers: a draft that fails costs its row, one that holds
    /// saves its part of a later sweep, which costs `sweep_rows` rows whatever it carries. With p the part of guesses that
    /// hold, the n-th token ahead pays where p^n > answers ÷ (answers + sweep_rows).
    pub(crate) fn reach(&self, answers: usize, sweep_rows: f64) -> usize {
        let needed = answers as f64 / (answers as f64 + sweep_rows);
        let holds = (self.right / self.guessed).min(0.999);
        (needed.ln() / holds.ln()) as usize
    }

    /// Whether a guess of one token was right.
    pub(crate) fn learn(&mut self, was_right: bool) {
        self.guessed += 1.0;
        self.right += f64::from(u8::from(was_right));
        if self.guessed > FORGOTTEN {
            (self.guessed, self.right) = (self.guessed / 2.0, self.right / 2.0);
        }
    }

    /// An answer went on from one node to the next.
    pub(crate) fn saw(&mut self, from: u32, to: u32) {
        let seen = self.next.entry(from).or_default();
        match seen.iter_mut().find(|(node, _)| *node == to) {
            Some((_, times)) => *times += 1,
            None => seen.push((to, 1)),
        }
    }

    /// An answer ended.
    pub(crate) fn saw_end(&mut self, at: u32) {
        *self.ends.entry(at).or_default() += 1;
    }

    /// What will probably follow, at most `limit` tokens: as long as more than half of the answers that came by went on
    /// with the same token.
    pub(crate) fn guess(&self, from: u32, limit: usize) -> Vec<u32> {
        let mut guess = Vec::new();
        let mut at = from;
        let mut evidence = None;
        while let Some(seen) = self.next.get(&at) {
            let total = seen.iter().map(|(_, times)| times).sum::<usize>() + self.ends.get(&at).copied().unwrap_or(0);
            let limit = limit.min(PER_ANSWER * *evidence.get_or_insert(total));
            match seen.iter().max_by_key(|(_, times)| times) {
                Some(&(node, times)) if 2 * times > total && guess.len() < limit => {
                    guess.push(node);
                    at = node;
                }
                _ => break,
            }
        }
        guess
    }

    /// Forgets everything where the texts have become so many that they weigh on memory.
    pub(crate) fn bound(&mut self, tokens: &mut TokenTrie, prompts: usize, most: usize) {
        if tokens.len() - prompts > most {
            tokens.truncate(prompts);
            self.next.clear();
            self.ends.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_reach_farther_the_fewer_answers_and_the_more_hold() {
        let mut drafts = Drafts::default();
        // ln(1 ÷ 65) ÷ ln 0.5 is 6.02, ln(64 ÷ 128) ÷ ln 0.5 is 1, ln(65 ÷ 129) ÷ ln 0.5 is 0.99.
        assert_eq!([1, 64, 65].map(|answers| drafts.reach(answers, 64.0)), [6, 1, 0]);
        (0..96).for_each(|_| drafts.learn(true));
        // 97 of 98 held: ln(512 ÷ 576) ÷ ln(97 ÷ 98) is 11.5.
        assert_eq!(drafts.reach(512, 64.0), 11);
        (0..2 * FORGOTTEN as usize).for_each(|_| drafts.learn(false));
        assert_eq!(drafts.reach(512, 64.0), 0);
        assert!(drafts.reach(1, 64.0) < 2);
    }

    #[test]
    fn a_guess_follows_the_majority_and_grows_with_the_evidence() {
        let mut drafts = Drafts::default();
        assert!(drafts.guess(0, 9).is_empty());
        (0..8).for_each(|node| drafts.saw(node, node + 1));
        assert_eq!(drafts.guess(0, 9), [1, 2, 3, 4]);
        assert_eq!(drafts.guess(0, 2), [1, 2]);
        // A second answer that went another way at node 2: no majority there.
        drafts.saw(0, 1);
        drafts.saw(1, 2);
        drafts.saw(2, 20);
        assert_eq!(drafts.guess(0, 9), [1, 2]);
        // Two that ended at node 1.
        drafts.saw_end(1);
        drafts.saw_end(1);
        assert_eq!(drafts.guess(0, 9), [1]);
    }
}
