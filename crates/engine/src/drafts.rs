//! Guessing what an answer will be from the answers of other paths.

use std::collections::HashMap;

use crate::tokens::TokenTrie;

/// Tokens that one answer may be guessed ahead for each answer that was seen: a guess that fails costs its rows.
const PER_ANSWER: usize = 4;

/// How often each token came behind each text.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    /// For each text the tokens that came next, as nodes, and how often.
    next: HashMap<u32, Vec<(u32, usize)>>,
    /// How often an answer ended there.
    ends: HashMap<u32, usize>,
}

impl Drafts {
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
