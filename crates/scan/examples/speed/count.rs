//! What no way of computing can do without: each state once, where equal means the same layers in the same order over
//! the same tokens.
//!
//! Paths form a trie, tokens form a trie, and a state is a pair of nodes. In the last visit of a path only the asked
//! positions need more than keys and values. Padding, repeated states and drafts that were wrong do not count.

use std::collections::{BTreeSet, HashMap};

use neuro_checkpoint::{AttentionConfig, DecoderConfig, LayerConfig};
use neuro_path::{LayerPath, Step};
use serde::Serialize;

/// One question of one path: every token that is read, and the first position whose logits are asked for. All
/// positions behind it are asked for, too.
pub(crate) struct Asked {
    pub(crate) tokens: Vec<u32>,
    pub(crate) from: usize,
}

/// Necessary work of a set of paths; a multiply-add counts as two operations.
#[derive(Serialize, Default)]
pub(crate) struct Work {
    /// Distinct pairs of a path's beginning and a text's beginning.
    pub(crate) layer_tokens: u64,
    /// Matmuls of the layers.
    pub(crate) layers: f64,
    /// Queries × keys and weights × values.
    pub(crate) attention: f64,
    /// The head, at asked positions only.
    pub(crate) head: f64,
    /// What whole last layers would add to `layers`.
    pub(crate) last_layers_whole: f64,
}

impl Work {
    /// All that is necessary.
    pub(crate) fn operations(&self) -> f64 {
        self.layers + self.attention + self.head
    }
}

/// A node of the path trie, with the token nodes that must pass it.
#[derive(Default)]
struct PathNode {
    /// Tokens whose state runs on into a further visit.
    inner: BTreeSet<u32>,
    /// Tokens of paths that end here.
    last: BTreeSet<u32>,
    /// Tokens of paths that end here whose logits are asked for.
    asked: BTreeSet<u32>,
    /// Layer of the visit; the root has none.
    layer: Option<usize>,
}

/// Texts as a trie: a node is the text up to a token.
#[derive(Default)]
struct TokenTrie {
    children: HashMap<(u32, u32), u32>,
    /// Number of tokens up to and with the node; the root, node 0, stands for the empty text.
    lengths: Vec<usize>,
}

impl TokenTrie {
    fn insert(&mut self, tokens: &[u32]) -> Vec<u32> {
        if self.lengths.is_empty() {
            self.lengths.push(0);
        }
        let mut node = 0;
        let step = |&token: &u32| {
            let next = self.lengths.len() as u32;
            let child = *self.children.entry((node, token)).or_insert(next);
            if child == next {
                self.lengths.push(self.lengths[node as usize] + 1);
            }
            node = child;
            node
        };
        tokens.iter().map(step).collect()
    }
}

/// Counts what the paths need, `asked` holding the questions of each path.
pub(crate) fn necessary(config: &DecoderConfig, paths: &[LayerPath], asked: &[Vec<Asked>]) -> Work {
    let mut texts = TokenTrie::default();
    let mut nodes = vec![PathNode::default()];
    let mut children: HashMap<(usize, Step), usize> = HashMap::new();
    for (path, questions) in paths.iter().zip(asked) {
        let (mut all, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        for question in questions {
            let tokens = texts.insert(&question.tokens);
            wanted.extend(&tokens[question.from..]);
            all.extend(tokens);
        }
        let mut node = 0;
        for (index, (step, visit)) in path.steps().iter().zip(path.visits()).enumerate() {
            node = *children.entry((node, *step)).or_insert_with(|| {
                nodes.push(PathNode { layer: Some(visit.layer), ..PathNode::default() });
                nodes.len() - 1
            });
            if index + 1 < path.len() {
                nodes[node].inner.extend(&all);
            }
        }
        nodes[node].last.extend(&all);
        nodes[node].asked.extend(&wanted);
    }
    let mut work = Work::default();
    for node in &nodes {
        if let Some(layer) = node.layer.and_then(|layer| config.layers.get(layer)) {
            node.count(layer, config, &texts, &mut work);
        }
    }
    work
}

impl PathNode {
    fn count(&self, layer: &LayerConfig, config: &DecoderConfig, texts: &TokenTrie, work: &mut Work) {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = layer.attention;
        let hidden = config.hidden_size as f64;
        let (queries, keys) = ((heads * head_dim) as f64, (kv_heads * head_dim) as f64);
        let key_value = 2.0 * hidden * 2.0 * keys;
        let rest = 2.0 * hidden * (2.0 * queries + 3.0 * layer.mlp.intermediate_size as f64);
        let all = self.inner.union(&self.last).count() as f64;
        let full: Vec<u32> = self.inner.union(&self.asked).copied().collect();
        // Each position sees itself and what comes before it, or as much as its window lets it.
        let seen = |&token: &u32| {
            let length = texts.lengths[token as usize];
            layer.attention.window.map_or(length, |window| length.min(window)) as f64
        };
        work.layer_tokens += all as u64;
        work.layers += all * key_value + full.len() as f64 * rest;
        work.last_layers_whole += (all - full.len() as f64) * rest;
        work.attention += 4.0 * queries * full.iter().map(seen).sum::<f64>();
        work.head += 2.0 * hidden * config.vocab_size as f64 * self.asked.len() as f64;
    }
}
