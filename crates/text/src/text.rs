//! The tokenizer with its chat templates, as one thing that a model folder has or has not.

use std::collections::HashSet;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use tokenizers::{AddedToken, Tokenizer};

use crate::detokenizer::Detokenizer;
use crate::error::TextError;
use crate::files::{TextFiles, sha256};
use crate::growth;
use crate::message::{Message, RenderOptions};
use crate::special::Special;
use crate::template::Templates;

/// A tokenizer and its chat templates. Immutable, cheap to share between threads by reference.
pub struct Text {
    tokenizer: Tokenizer,
    special_ids: HashSet<u32>,
    tokenizer_hash: String,
    bos: Option<(String, u32)>,
    eos: Option<(String, u32)>,
    templates: Templates,
}

impl Text {
    /// Reads a model folder. `None` where it has no tokenizer of any kind; a tokenizer in a form that is not read
    /// (vocabulary and merges alone) is an error that says how to convert it.
    pub fn open(dir: &Path) -> Result<Option<Self>, TextError> {
        let Some(files) = TextFiles::read(dir)? else { return Ok(None) };
        let file =
            ["tokenizer.json", "tokenizer.model"].map(|name| dir.join(name)).into_iter().find(|file| file.is_file());
        Self::from_files(&files, &file.unwrap_or_default().display().to_string()).map(Some)
    }

    /// Builds it from file contents; `name` is what errors call the tokenizer.
    pub fn from_files(files: &TextFiles, name: &str) -> Result<Self, TextError> {
        let special = Special::read(files)?;
        let invalid = |reason: String| TextError::Invalid { file: name.to_string(), reason };
        let tokenizer = caught(|| build(&files.tokenizer, &special)).map_err(invalid)?;
        let find = |name: &str| {
            let content = &special.named.get(name)?.content;
            Some((content.clone(), tokenizer.token_to_id(content)?))
        };
        let (bos, eos) = (find("bos_token"), find("eos_token"));
        let variables = special.named.into_iter().map(|(name, token)| (name, token.content)).collect();
        let templates = Templates::new(special.templates, variables);
        // By id: the tokenizer library misses a special token whose content its own normalizer changes.
        let added = tokenizer.get_added_tokens_decoder();
        let special_ids = added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        Ok(Self { tokenizer, special_ids, tokenizer_hash: sha256(&files.tokenizer), bos, eos, templates })
    }

    /// Text → token ids. `add_special` adds what the post-processor of `tokenizer.json` adds (a beginning of text, …);
    /// special tokens written out in the text become their ids either way.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, TextError> {
        let encoding =
            caught(|| self.tokenizer.encode_fast(text, add_special)).map_err(|reason| TextError::Encode { reason })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Token ids → text. Ids that the tokenizer does not know (padding of the vocabulary) give nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        let kept: Vec<u32> =
            ids.iter().copied().filter(|id| !(skip_special && self.special_ids.contains(id))).collect();
        caught(|| self.tokenizer.decode(&kept, false)).map_err(|reason| TextError::Decode { count: ids.len(), reason })
    }

    /// Number of tokens, added ones included. The model's own vocabulary is often padded beyond it.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The id of a token in the vocabulary's own spelling.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// A token in the vocabulary's own spelling.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Whether conversations can be rendered; otherwise the model is prompted with plain text.
    pub fn has_template(&self) -> bool {
        !self.templates.is_empty()
    }

    /// The names of the chat templates, sorted.
    pub fn template_names(&self) -> Vec<&str> {
        self.templates.names()
    }

    /// The text of a conversation, as `apply_chat_template(tokenize=False)` of transformers gives it.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        self.templates.render(messages, options)
    }

    /// The tokens of a conversation: the rendered text, encoded without adding special tokens, since the template wrote them.
    pub fn chat_tokens(&self, messages: &[Message], options: &RenderOptions) -> Result<Vec<u32>, TextError> {
        self.encode(&self.render(messages, options)?, false)
    }

    /// Whether a template asks for today's date, so that its prompts change from day to day unless
    /// [`RenderOptions::now`] is fixed.
    pub fn reads_clock(&self) -> bool {
        self.templates.reads_clock()
    }

    /// SHA-256 of `tokenizer.json`, or of what stands for it where it was converted.
    pub fn tokenizer_hash(&self) -> &str {
        &self.tokenizer_hash
    }

    /// SHA-256 of the chat template's text; of the one named `default` (else the first) where there are several.
    pub fn template_hash(&self) -> Option<&str> {
        self.templates.hash()
    }

    /// A streaming decoder for one answer, which leaves special tokens out.
    pub fn detokenizer(&self) -> Detokenizer<'_> {
        Detokenizer::new(&self.tokenizer, &self.special_ids)
    }

    /// The token that ends a text, and its id.
    pub fn eos_token(&self) -> Option<(&str, u32)> {
        self.eos.as_ref().map(|(token, id)| (token.as_str(), *id))
    }

    /// The token that begins a text, and its id.
    pub fn bos_token(&self) -> Option<(&str, u32)> {
        self.bos.as_ref().map(|(token, id)| (token.as_str(), *id))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Text").field("tokenizer_hash", &self.tokenizer_hash).finish_non_exhaustive()
    }
}

/// Calls the tokenizer library, which panics instead of returning an error where a file contradicts itself.
fn caught<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(call))
        .map_err(|_| "`tokenizer.json` contradicts itself; take it again from the model's source".to_string())?
        .map_err(|error| error.to_string())
}

/// The parts of a `tokenizer.json` that rewrite texts.
#[derive(serde::Deserialize, serde::Serialize)]
struct Parts {
    normalizer: Option<serde_json::Value>,
    pre_tokenizer: Option<serde_json::Value>,
    decoder: Option<serde_json::Value>,
}

/// The tokenizer of `tokenizer.json` with the tokens that the config adds. Truncation and padding are for training.
fn build(json: &[u8], special: &Special) -> tokenizers::Result<Tokenizer> {
    match serde_json::from_slice::<Parts>(json) {
        Ok(parts) => {
            if let Some(problem) = growth::excess(&serde_json::json!(parts)) {
                return Err(problem.into());
            }
        }
        // The library reads both, so that the first would get by.
        Err(error) if error.to_string().starts_with("duplicate field") => return Err(error.into()),
        // What is no JSON is the library's to refuse.
        Err(_) => {}
    }
    let mut tokenizer = Tokenizer::from_bytes(json)?;
    tokenizer.with_truncation(None)?;
    tokenizer.with_padding(None);
    let known = tokenizer.get_added_tokens_decoder();
    let same = |token: &AddedToken| known.values().any(|other| other == token && other.special == token.special);
    let named = |token: &AddedToken| special.named.values().any(|other| other.content == token.content);
    let mut missing: Vec<AddedToken> = special.added.iter().filter(|token| !same(token)).cloned().collect();
    for token in &mut missing {
        token.special |= named(token);
    }
    // A named token that is already an added one keeps its flags, even where they call it ordinary.
    let mut contents: HashSet<String> =
        known.into_values().chain(missing.iter().cloned()).map(|token| token.content).collect();
    for token in special.named.values().chain(&special.extra) {
        if contents.insert(token.content.clone()) {
            missing.push(AddedToken { special: true, ..token.clone() });
        }
    }
    tokenizer.add_tokens(missing)?;
    // A post-processor that names unknown tokens shows only here.
    tokenizer.encode_fast("a", true)?;
    Ok(tokenizer)
}
