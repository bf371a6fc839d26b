//! Which layers have delta nets, as keys.

use crate::gguf::meta::Meta;

/// A key for every so-many-th layer, and one that lists them.
pub(in crate::gguf) const INTERVAL: &str = "full_attention_interval";
pub(in crate::gguf) const LIST: &str = "attention.recurrent_layers";

/// The number of which llama.cpp takes every multiple for a layer with attention, counted from 1, where that gives these.
fn interval(recurrent: &[bool]) -> Option<usize> {
    let first = recurrent.iter().position(|recurrent| !recurrent).unwrap_or(recurrent.len());
    let interval = first + 1;
    let fits = |(place, recurrent): (usize, &bool)| *recurrent != (place + 1).is_multiple_of(interval);
    recurrent.iter().enumerate().all(fits).then_some(interval)
}

/// Says which layers along the path have delta nets: by an interval, or, where none fits, by a list.
pub(in crate::gguf) fn write(meta: &mut Meta, architecture: &str, recurrent: &[bool], notes: &mut Vec<String>) {
    if let Some(interval) = interval(recurrent) {
        // As many as there are visits, and these are at most 512.
        meta.u32(&format!("{architecture}.{INTERVAL}"), interval as u32);
        return;
    }
    let key = format!("{architecture}.{LIST}");
    notes.push(format!(
        "`{key}` lists which layers are recurrent, for along this path their numbers do not say it: llama.cpp reads that list \
         since the middle of 2026 (llama-cpp-python 0.3.36 does), older versions miss tensors and do not load the file"
    ));
    meta.flags(&key, recurrent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_found_where_there_is_one() {
        let of = |layers: &str| interval(&layers.chars().map(|layer| layer == 'r').collect::<Vec<_>>());
        assert_eq!(of("rrrarrra"), Some(4));
        assert_eq!(of("rararara"), Some(2));
        assert_eq!(of("rrrarr"), Some(4));
        assert_eq!(of("aaa"), Some(1));
        assert_eq!(of("rrr"), Some(4));
        assert_eq!(of("rrrrarra"), None);
        assert_eq!(of("arrr"), None);
        assert_eq!(of("rrraa"), None);
    }
}
