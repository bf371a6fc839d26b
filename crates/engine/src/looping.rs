/// Longest cycle, in tokens, that is looked for.
const LONGEST_CYCLE: usize = 32;
/// A cycle must be seen this often …
const TIMES: usize = 4;
/// … and cover this many tokens, so that a row of zeros in a number is not taken for a loop.
const COVERED: usize = 24;

/// Whether an answer has run into a loop: its end repeats one cycle of at most 32 tokens, at least four times and over
/// at least 24 tokens. A deterministic decoder rarely leaves such a loop, and a path that enters one has failed.
pub fn is_looping(tokens: &[u32]) -> bool {
    (1..=LONGEST_CYCLE).any(|cycle| {
        let span = (cycle * TIMES).max(COVERED);
        let Some(tail) = tokens.len().checked_sub(span).map(|start| &tokens[start..]) else { return false };
        tail.iter().zip(&tail[cycle..]).all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_a_loop_only_when_long_enough() {
        assert!(!is_looping(&[7; 23]));
        assert!(is_looping(&[7; 24]));
        let cycle: Vec<u32> = (0..20).cycle().take(80).collect();
        assert!(is_looping(&cycle));
        assert!(!is_looping(&cycle[..79]));
        assert!(!is_looping(&(0..200).collect::<Vec<_>>()));
    }

    #[test]
    fn what_came_before_the_loop_does_not_hide_it() {
        let mut tokens: Vec<u32> = (100..140).collect();
        tokens.extend([1, 2, 3].repeat(8));
        assert!(is_looping(&tokens));
        tokens.push(9);
        assert!(!is_looping(&tokens));
    }
}
