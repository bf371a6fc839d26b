//! Where the cache is, who asks, and whom: the environment variables of `huggingface_hub` (its `constants.py` and
//! `utils/_auth.py`).

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::HubError;

/// The hub's own address.
const HUB: &str = "https://huggingface.co";

/// Longest token that is read; real ones have 37 letters.
const LONGEST_TOKEN: u64 = 64 << 10;

/// How models are found.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cache folder. It need not exist.
    pub cache: PathBuf,
    /// Address of the hub, without `/` at its end.
    pub endpoint: String,
    /// What is shown to the hub, for models that are not public.
    pub token: Option<Token>,
    /// Never to use the network.
    pub offline: bool,
    /// How long an answer may take, or a stretch of a content, which then goes on with another request.
    pub patience: Duration,
    /// How long the second try of a request waits; each further one waits twice as long.
    pub pause: Duration,
}

/// An access token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token without the white space around it; none where nothing is left.
    ///
    /// # Errors
    /// When it has letters that no token has, and no request can carry.
    pub fn new(text: &str) -> Result<Option<Self>, HubError> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HubError::Token);
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The value of the header `Authorization`.
    #[cfg(feature = "download")]
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(hidden)")
    }
}

impl Settings {
    /// With this cache folder, the public hub, and no token.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: HUB.to_owned(),
            token: None,
            offline: false,
            patience: Duration::from_secs(30),
            pause: Duration::from_secs(1),
        }
    }

    /// As this process's environment says.
    ///
    /// # Errors
    /// When no variable says where the cache is and there is no home folder, when the token cannot be read, or when the
    /// hub's address is none.
    pub fn from_env() -> Result<Self, HubError> {
        Self::read(|name| std::env::var_os(name), std::env::home_dir().as_deref())
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Self, HubError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| set(name).map(|value| expand(PathBuf::from(value), home));
        let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let own = || path("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));

        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(own()?.join("hub")))
            .ok_or(HubError::NoHome)?;
        let is_on = |name| text(name).is_some_and(|value| is_true(&value));
        let token = if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else if let Some(token) = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
            Token::new(&token)?
        } else {
            match path("HF_TOKEN_PATH").or_else(|| Some(own()?.join("token"))) {
                Some(file) => read_token(&file)?,
                None => None,
            }
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !["https://", "http://"]
            .iter()
            .any(|scheme| endpoint.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        {
            return Err(HubError::Endpoint { found: endpoint });
        }
        let offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
        Ok(Self { endpoint, token, offline, ..Self::new(cache) })
    }
}

/// What counts as yes in these variables.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// `~` at the beginning stands for the home folder.
fn expand(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

fn read_token(file: &Path) -> Result<Option<Token>, HubError> {
    use std::io::{ErrorKind, Read as _};
    let mut text = String::new();
    match std::fs::File::open(file).and_then(|open| open.take(LONGEST_TOKEN).read_to_string(&mut text)) {
        Ok(_) => Token::new(&text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(HubError::Io { path: file.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings by these variables, with `/home` as home folder.
    fn with(variables: &[(&str, &str)]) -> Settings {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into());
        Settings::read(find, Some(Path::new("/home"))).expect("settings")
    }

    #[test]
    fn the_cache_folder_follows_the_variables_in_order() {
        for (variables, expected) in [
            (&[("HF_HUB_CACHE", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c")][..], "/a"),
            (&[("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c")], "/b"),
            (&[("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d")], "/c/hub"),
            (&[("HF_HUB_CACHE", ""), ("XDG_CACHE_HOME", "/d")], "/d/huggingface/hub"),
            (&[("HF_HOME", "~/e")], "/home/e/hub"),
            (&[], "/home/.cache/huggingface/hub"),
        ] {
            assert_eq!(with(variables).cache, Path::new(expected), "{variables:?}");
        }
        assert!(matches!(Settings::read(|_| None, None), Err(HubError::NoHome)));
    }

    #[test]
    fn the_token_comes_from_a_variable_or_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, " hf_file\n").expect("a file");
        let path = |of: &Path| of.display().to_string();
        let token = |text: &str| Token::new(text).expect("a token");
        assert_eq!(with(&[("HF_TOKEN", "hf_a\n"), ("HF_TOKEN_PATH", &path(&file))]).token, token("hf_a"));
        assert_eq!(with(&[("HUGGING_FACE_HUB_TOKEN", "hf_b")]).token, token("hf_b"));
        assert_eq!(with(&[("HF_TOKEN_PATH", &path(&file))]).token, token("hf_file"));
        assert_eq!(with(&[("HF_HOME", &path(folder.path()))]).token, token("hf_file"));
        assert_eq!(with(&[("HF_TOKEN", "hf_a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
        assert_eq!(with(&[]).token, None);
        assert!(!format!("{:?}", with(&[("HF_TOKEN", "hf_a")])).contains("hf_a"));
        assert!(matches!(Token::new("hf a"), Err(HubError::Token)));
    }

    #[test]
    fn the_address_and_the_network_follow_their_variables() {
        assert_eq!(with(&[]).endpoint, "https://huggingface.co");
        assert_eq!(with(&[("HF_ENDPOINT", "http://mirror:80/hf/")]).endpoint, "http://mirror:80/hf");
        let find = |name: &str| (name == "HF_ENDPOINT").then(|| "ftp://x".into());
        assert!(matches!(Settings::read(find, Some(Path::new("/"))), Err(HubError::Endpoint { .. })));
        for (value, expected) in [("1", true), ("ON", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(with(&[("HF_HUB_OFFLINE", value)]).offline, expected, "{value}");
        }
        assert!(with(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
    }
}
