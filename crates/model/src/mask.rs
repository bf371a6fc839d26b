//! The one mask: causal, optionally within a sliding window.

use candle_core::{Device, Tensor};

use crate::Result;

/// What to add to attention scores `(…, seq, total)`: 0 where the query at position `past + t` may see key `s`, −∞
/// elsewhere. A query sees itself and what came before, of that only the last `window` keys, itself included
/// (`q − k < window`, as `transformers`' `sliding_window_overlay`). `None` when every key is visible.
pub(crate) fn additive_mask(past: usize, seq: usize, window: Option<usize>, device: &Device) -> Result<Option<Tensor>> {
    let total = past + seq;
    if seq == 1 && window.is_none_or(|window| total <= window) {
        return Ok(None);
    }
    let visible = |query: usize, key: usize| key <= query && window.is_none_or(|window| query - key < window);
    let values: Vec<f32> = (past..total)
        .flat_map(|query| (0..total).map(move |key| if visible(query, key) { 0.0 } else { f32::NEG_INFINITY }))
        .collect();
    Ok(Some(Tensor::from_vec(values, (seq, total), device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(past: usize, seq: usize, window: Option<usize>) -> Vec<String> {
        let mask = additive_mask(past, seq, window, &Device::Cpu).unwrap().unwrap();
        let rows = mask.to_vec2::<f32>().unwrap();
        rows.iter().map(|row| row.iter().map(|v| if *v == 0.0 { 'x' } else { '.' }).collect()).collect()
    }

    #[test]
    fn causal() {
        assert_eq!(visible(0, 3, None), ["x..", "xx.", "xxx"]);
        assert_eq!(visible(2, 2, None), ["xxx.", "xxxx"]);
    }

    #[test]
    fn window_counts_the_query_itself() {
        assert_eq!(visible(0, 4, Some(2)), ["x...", "xx..", ".xx.", "..xx"]);
        assert_eq!(visible(3, 1, Some(2)), ["..xx"]);
    }

    #[test]
    fn single_query_that_sees_everything_needs_no_mask() {
        assert!(additive_mask(3, 1, Some(4), &Device::Cpu).unwrap().is_none());
        assert!(additive_mask(3, 1, None, &Device::Cpu).unwrap().is_none());
    }
}
