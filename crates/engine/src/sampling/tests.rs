use proptest::prelude::*;

use super::noise::Noise;
use super::row::{Token, exp};
use super::*;

fn sampling() -> Sampling {
    Sampling { temperature: 1.0, top_k: None, top_p: 1.0, min_p: 0.0, seed: 11 }
}

fn key(question: u64, draw: u32, position: u32) -> ChoiceKey {
    ChoiceKey { question, draw, position }
}

/// The same rule, as `transformers` writes it: every filter on its own, over sorted tokens and their softmax; then the
/// best and the second best of what is left, and how many are left.
fn naive(logits: &[f32], suppress: &[u32], rule: &Sampling, key: ChoiceKey) -> Option<(u32, f64, usize)> {
    let mut tokens: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&logit| f64::from(logit) + 0.0)).collect();
    tokens.retain(|(token, _)| !suppress.contains(token));
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let scaled = |tokens: &[(u32, f64)]| -> Vec<f64> {
        let shares: Vec<f64> =
            tokens.iter().map(|(_, logit)| ((logit - tokens[0].1) / rule.temperature).exp()).collect();
        let all: f64 = shares.iter().sum();
        shares.iter().map(|share| share / all).collect()
    };
    if let Some(count) = rule.top_k.filter(|&count| count > 0 && count < tokens.len()) {
        let edge = tokens[count - 1].1;
        tokens.retain(|&(_, logit)| logit >= edge);
    }
    if rule.top_p < 1.0 && !tokens.is_empty() {
        let shares = scaled(&tokens);
        // Summed from the least likely on.
        let mut tail = 0.0;
        let tails = shares.iter().rev().map(|share| {
            tail += share;
            tail
        });
        let kept = tails.filter(|&tail| tail > 1.0 - rule.top_p).count().max(1);
        tokens.truncate(kept);
    }
    if !tokens.is_empty() {
        let shares = scaled(&tokens);
        let kept = shares.iter().filter(|&&share| share >= rule.min_p * shares[0]).count();
        tokens.truncate(kept);
    }
    let noise = Noise::new(rule.seed, key);
    let mut values: Vec<(f64, u32)> = Vec::new();
    for &(token, logit) in &tokens {
        let alone = [Token { token, logit: 0.0 }];
        noise.each_from(&alone, 0, |_, gumbel| values.push((logit / rule.temperature + gumbel, token)));
    }
    values.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let second = values.get(1).map_or(f64::NEG_INFINITY, |&(value, _)| value);
    values.first().map(|&(value, token)| (token, (value - second) * rule.temperature, tokens.len()))
}

fn rules() -> impl Strategy<Value = Sampling> {
    let share = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64, 0.9..1.0_f64];
    let count = prop::option::of(prop_oneof![0..4_usize, 0..400_usize]);
    (prop_oneof![Just(1.0), 0.05..4.0_f64], count, share(), share(), any::<u64>())
        .prop_map(|(temperature, top_k, top_p, min_p, seed)| Sampling { temperature, top_k, top_p, min_p, seed })
}

/// Rows long enough for several chunks, some with many equal logits.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    (prop_oneof![1..12_usize, 1..3000_usize], prop_oneof![Just(0.0_f32), Just(0.5_f32)], 0.1..12.0_f32, any::<u64>())
        .prop_map(|(count, grid, spread, seed)| {
            let noise = Noise::new(seed, key(0, 0, 0));
            let mut row = vec![0.0; count];
            let tokens: Vec<Token> = (0..count as u32).map(|token| Token { token, logit: 0.0 }).collect();
            noise.each_from(&tokens, 0, |token, gumbel| {
                let logit = gumbel as f32 * spread;
                row[token.token as usize] = if grid > 0.0 { (logit / grid).round() * grid } else { logit };
            });
            row
        })
}

fn suppressed() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(0..12_u32, 1..8), prop::collection::vec(0..4000_u32, 1..90)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn choices_equal_those_of_the_naive_rule(row in rows(), suppress in suppressed(), rule in rules(), position in any::<u32>()) {
        let key = key(5, 1, position);
        let found = choose(&row, &suppress, &Rule::Sample(rule), key);
        let expected = naive(&row, &suppress, &rule, key);
        prop_assert_eq!(found.is_some(), expected.is_some());
        let (Some(found), Some((token, lead, kept))) = (found, expected) else { return Ok(()) };
        let without_filters = rule.top_k.is_none_or(|count| count == 0) && rule.top_p == 1.0 && rule.min_p == 0.0;
        if without_filters {
            prop_assert!(lead == found.lead || (lead - found.lead).abs() < 1e-9, "{} against {}", found.lead, lead);
        } else {
            prop_assert!(found.lead <= lead + 1e-9 && (0.0..=LARGEST_FILTERED_LEAD).contains(&found.lead));
        }
        // Where masses or values meet to the last bits, the two may differ, and the lead says so.
        prop_assert!(found.token == token || found.lead < 1e-6, "{:?} against {} of {}", found, token, kept);
    }

    #[test]
    fn no_change_within_the_lead_changes_a_choice(row in rows(), rule in rules(), direction in any::<u64>()) {
        let rule = Rule::Sample(rule);
        let chosen = choose(&row, &[], &rule, key(1, 2, 3)).unwrap();
        // A little less than half the lead, up or down, for rounding to f32.
        let reach = chosen.lead.min(5.0) * 0.499 - 1e-5;
        prop_assume!(reach > 0.0);
        for round in 0..8 {
            let noise = Noise::new(direction, key(round, 0, 0));
            let mut moved = row.clone();
            let tokens: Vec<Token> = (0..row.len() as u32).map(|token| Token { token, logit: 0.0 }).collect();
            noise.each_from(&tokens, 0, |token, gumbel| {
                let change = if gumbel > 0.3665 { reach } else { -reach };
                let token = token.token;
                // In half of the rounds, the worst for the chosen token.
                let change = if round % 2 == 0 { if token == chosen.token { -reach } else { reach } } else { change };
                moved[token as usize] = (f64::from(row[token as usize]) + change) as f32;
            });
            prop_assert_eq!(choose(&moved, &[], &rule, key(1, 2, 3)).unwrap().token, chosen.token, "round {}", round);
        }
    }

    #[test]
    fn the_greedy_choice_is_the_lowest_largest(row in rows(), suppress in suppressed()) {
        let mut order: Vec<u32> = (0..row.len() as u32).filter(|token| !suppress.contains(token)).collect();
        // Adding 0 makes −0 and 0 equal.
        let logit = |token: u32| row[token as usize] + 0.0;
        order.sort_by(|&a, &b| logit(b).total_cmp(&logit(a)).then(a.cmp(&b)));
        let expected = order.first().map(|&token| {
            let [best, second] = [0, 1].map(|rank| order.get(rank).map_or(f64::NEG_INFINITY, |&token| f64::from(row[token as usize])));
            Choice { token, lead: best - second }
        });
        prop_assert_eq!(choose(&row, &suppress, &Rule::Greedy, key(0, 0, 0)), expected);
        let cold = Rule::Sample(Sampling { temperature: 0.0, ..sampling() });
        prop_assert_eq!(choose(&row, &suppress, &cold, key(0, 0, 0)), expected);
    }
}

/// Pearson's statistic against the softmax, for noise that changes by one part of the key.
#[test]
fn frequencies_are_those_of_the_softmax() {
    let logits = [0.0, 1.0, -0.5, 2.0, 0.3, 1.0_f32];
    const DRAWS: u32 = 10_000;
    for temperature in [1.0, 0.6, 2.5] {
        let shares: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) / temperature).exp()).collect();
        let all: f64 = shares.iter().sum();
        let by_part: [&dyn Fn(u32) -> (u64, ChoiceKey); 4] = [
            &|draw| (3, key(u64::from(draw), 0, 0)),
            &|draw| (3, key(9, draw, 0)),
            &|draw| (3, key(9, 0, draw)),
            &|draw| (u64::from(draw), key(9, 0, 0)),
        ];
        for (part, of_draw) in by_part.iter().enumerate() {
            let mut counts = [0.0; 6];
            for draw in 0..DRAWS {
                let (seed, key) = of_draw(draw);
                let rule = Rule::Sample(Sampling { temperature, seed, ..sampling() });
                counts[choose(&logits, &[], &rule, key).unwrap().token as usize] += 1.0;
            }
            let term = |(count, share): (&f64, &f64)| {
                let expected = share / all * f64::from(DRAWS);
                (count - expected).powi(2) / expected
            };
            let statistic: f64 = counts.iter().zip(&shares).map(term).sum();
            // Of 5 degrees of freedom; exceeded by chance once in a million.
            assert!(statistic < 35.9, "{statistic} at {temperature}, part {part}");
        }
    }
}

#[test]
fn what_cannot_be_chosen_from_gives_nothing() {
    for rule in [Rule::Greedy, Rule::Sample(sampling()), Rule::Sample(Sampling { top_k: Some(2), ..sampling() })] {
        let chosen = |logits: &[f32], suppress: &[u32]| choose(logits, suppress, &rule, key(0, 0, 0));
        assert_eq!(chosen(&[], &[]), None);
        assert_eq!(chosen(&[5.0, 1.0], &[1, 0, 7]), None);
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in [0, 40, 63, 64, 4999] {
                let mut row = vec![1.0; 5000];
                row[position] = number;
                assert_eq!(chosen(&row, &[]), None);
                assert_eq!(chosen(&row, &[position as u32]), None);
            }
        }
        let alone = chosen(&[5.0, 1.0, 2.0], &[2, 2, 0]).unwrap();
        assert!(alone.token == 1 && alone.lead >= LARGEST_FILTERED_LEAD);
    }
}

#[test]
fn edges_are_those_of_transformers() {
    let count = |logits: &[f32], rule: Sampling| {
        let row = Row::new(logits, &[]).unwrap();
        Filtered::new(&row, &rule).unwrap().kept().to_vec().len()
    };
    // Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625: all sums are exact.
    let halves: Vec<f32> = [0.5, 0.25, 0.125, 0.0625, 0.0625].iter().map(|share: &f64| share.ln() as f32).collect();
    for (top_p, kept) in [(0.0, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (0.93, 4), (0.94, 5)] {
        assert_eq!(count(&halves, Sampling { top_p, ..sampling() }), kept, "{top_p}");
    }
    for (top_k, kept) in [(1, 1), (3, 3), (4, 5), (5, 5), (9, 5)] {
        assert_eq!(count(&halves, Sampling { top_k: Some(top_k), ..sampling() }), kept, "{top_k}");
    }
    for (min_p, kept) in [(1.0, 1), (0.51, 1), (0.49, 2), (0.1, 5)] {
        assert_eq!(count(&halves, Sampling { min_p, ..sampling() }), kept, "{min_p}");
    }
    // Top-p counts shares of what top-k has left: 0.5 of 0.75 is 0.67.
    assert_eq!(count(&halves, Sampling { top_k: Some(2), top_p: 0.66, ..sampling() }), 1);
    // At temperature ½ probabilities are squared.
    assert_eq!(count(&halves, Sampling { temperature: 0.5, min_p: 0.2, ..sampling() }), 2);
}

#[test]
fn a_winner_on_an_edge_has_no_lead() {
    // Tokens 2 and 3 are equal at the edge of top-k; with the noise of some positions one of them wins.
    let logits = [1.0, 0.9, 0.8, 0.8, 0.7_f32];
    let rule = Rule::Sample(Sampling { top_k: Some(3), ..sampling() });
    let mut wins = 0;
    for position in 0..200 {
        let choice = choose(&logits, &[], &rule, key(0, 0, position)).unwrap();
        assert_ne!(choice.token, 4);
        if matches!(choice.token, 2 | 3) {
            wins += 1;
            assert_eq!(choice.lead, 0.0);
        }
    }
    assert!(wins > 50, "{wins}");
}

#[test]
fn the_exponential_is_right_to_the_last_bits() {
    for step in 0..69_900 {
        let x = f64::from(step) * -0.01012;
        let expected = x.exp();
        assert!((exp(x) - expected).abs() <= expected * 4.5e-16, "{x}: {} against {expected}", exp(x));
    }
    assert_eq!((exp(0.0), exp(-708.5), exp(f64::NEG_INFINITY)), (1.0, 0.0, 0.0));
}
