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
    /// A PEM file with the certificates that are trusted; whom the system trusts where there is none.
    pub certificates: Option<PathBuf>,
    /// How long an answer may take, and the next bytes of a content, which then goes on with another request.
    pub patience: Duration,
    /// How slowly a content may come, after which another request goes on with it.
    pub pace: Pace,
    /// How long the second try of a request waits; each further one waits twice as long.
    pub pause: Duration,
}

/// The least of a content that must arrive (`--speed-limit` and `--speed-time` of curl).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many bytes …
    pub bytes: u64,
    /// … within each such time.
    pub time: Duration,
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
            certificates: None,
            patience: Duration::from_secs(30),
            pace: Pace { bytes: 60_000, time: Duration::from_secs(60) },
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
        let path = |name: &str| set(name).map(|value| expand(value, home, &variable));
        let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let own = || path("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));

        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(own()?.join("hub")))
            .ok_or(HubError::NoHome)?;
        let is_on = |name| text(name).is_some_and(|value| is_true(&value));
        let token = if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            // White space alone counts as nothing, there as here.
            let given = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).map(|token| Token::new(&token));
            match given.transpose()?.flatten() {
                Some(token) => Some(token),
                None => match path("HF_TOKEN_PATH").or_else(|| Some(own()?.join("token"))) {
                    Some(file) => read_token(&file)?,
                    None => None,
                },
            }
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
        let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        if !is_address(&endpoint) {
            return Err(HubError::endpoint(&endpoint));
        }
        let offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
        // The first is everybody's, the second what programs in Python are told.
        let certificates = path("SSL_CERT_FILE").or_else(|| path("REQUESTS_CA_BUNDLE"));
        Ok(Self { endpoint, token, offline, certificates, ..Self::new(cache) })
    }
}

/// What counts as yes in these variables.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Whether requests can be addressed by it: a scheme and a host, then perhaps a path, and nothing else.
fn is_address(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(['?', '#', '@', '\\'])
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// `~` at the beginning stands for the home folder, `$NAME` and `${NAME}` for variables that are set, as in Python's
/// `expanduser` and `expandvars`: not every shell, and no file of a container's settings, replaces them.
fn expand(value: OsString, home: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = PathBuf::from(value);
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    };
    let Some(text) = path.to_str().filter(|text| text.contains('$')) else { return path };
    let mut expanded = OsString::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        expanded.push(before);
        let braced = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            let end = behind.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            behind.split_at(end.unwrap_or(behind.len()))
        });
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                expanded.push(value);
                rest = after;
            }
            None => {
                expanded.push("$");
                rest = behind;
            }
        }
    }
    expanded.push(rest);
    PathBuf::from(expanded)
}

fn read_token(file: &Path) -> Result<Option<Token>, HubError> {
    use std::io::{ErrorKind, Read as _};
    let mut text = String::new();
    match std::fs::File::open(file).and_then(|open| open.take(LONGEST_TOKEN).read_to_string(&mut text)) {
        Ok(_) => Token::new(&text),
        // A folder that others share may hold a token that is theirs alone.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied) =>
        {
            Ok(None)
        }
        Err(source) => Err(HubError::Io { path: file.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings by these variables, with `/home` as home folder.
    fn with(variables: &[(&str, &str)]) -> Settings {
        read(variables).expect("settings")
    }

    fn read(variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into());
        Settings::read(find, Some(Path::new("/home")))
    }

    #[test]
    fn the_cache_folder_follows_the_variables_in_order() {
        for (variables, expected) in [
            (&[("HF_HUB_CACHE", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c")][..], "/a"),
            (&[("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c")], "/b"),
            (&[("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d")], "/c/hub"),
            (&[("HF_HUB_CACHE", ""), ("XDG_CACHE_HOME", "/d")], "/d/huggingface/hub"),
            (&[("HF_HOME", "~/e")], "/home/e/hub"),
            (&[("HF_HOME", "relative/e")], "relative/e/hub"),
            (&[("HF_HOME", "$SCRATCH/${WHO}_hf/$NONE/$"), ("SCRATCH", "/s"), ("WHO", "me")], "/s/me_hf/$NONE/$/hub"),
            (&[("HF_HUB_CACHE", "~/$A$B${A"), ("A", "x"), ("B", "$A")], "/home/x$A${A"),
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
        assert_eq!(with(&[("HF_TOKEN", " \n"), ("HF_TOKEN_PATH", &path(&file))]).token, token("hf_file"));
        assert_eq!(with(&[("HUGGING_FACE_HUB_TOKEN", "hf_b")]).token, token("hf_b"));
        assert_eq!(with(&[("HF_TOKEN_PATH", &path(&file))]).token, token("hf_file"));
        assert_eq!(with(&[("HF_HOME", &path(folder.path()))]).token, token("hf_file"));
        assert_eq!(with(&[("HF_TOKEN", "hf_a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
        assert_eq!(with(&[("HF_TOKEN_PATH", &path(&file.join("below")))]).token, None);
        assert_eq!(with(&[]).token, None);
        assert!(!format!("{:?}", with(&[("HF_TOKEN", "hf_a")])).contains("hf_a"));
        for bad in ["hf a", "hf_a\nhf_b", "hf_ä"] {
            assert!(matches!(Token::new(bad), Err(HubError::Token)), "{bad}");
            assert!(matches!(read(&[("HF_TOKEN", bad)]), Err(HubError::Token)), "{bad}");
        }
        // Windows opens no folder at all, and says that it is not allowed.
        if cfg!(unix) {
            let error = read(&[("HF_TOKEN_PATH", &path(folder.path()))]).expect_err("a folder").to_string();
            assert!(error.contains(&path(folder.path())), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_token_of_others_is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "hf_file").expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("permissions");
        // The superuser reads it all the same.
        if std::fs::read(&file).is_err() {
            assert_eq!(with(&[("HF_TOKEN_PATH", &file.display().to_string())]).token, None);
        }
    }

    #[test]
    fn the_address_and_the_network_follow_their_variables() {
        assert_eq!(with(&[]).endpoint, "https://huggingface.co");
        assert_eq!(with(&[("HF_ENDPOINT", "http://mirror:80/hf//")]).endpoint, "http://mirror:80/hf");
        assert_eq!(with(&[("HF_ENDPOINT", " https://mirror\n")]).endpoint, "https://mirror");
        for bad in [
            "ftp://x",
            "mirror.org",
            "https://",
            "https:///x",
            "https://x/?a=b",
            "https://x#y",
            "https://a b",
            "/",
            "https://ü",
        ] {
            let error = read(&[("HF_ENDPOINT", bad)]).expect_err(bad).to_string();
            assert!(error.contains(bad.trim_end_matches('/')) && error.contains("expected an address"), "{error}");
        }
        let error = read(&[("HF_ENDPOINT", "https://me:secret@mirror/x")]).expect_err("a password").to_string();
        assert!(error.contains("https://…@mirror/x") && !error.contains("secret"), "{error}");
        for (value, expected) in [("1", true), ("ON", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(with(&[("HF_HUB_OFFLINE", value)]).offline, expected, "{value}");
        }
        assert!(with(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
    }

    #[test]
    fn certificates_come_from_a_file_where_one_is_named() {
        assert_eq!(with(&[]).certificates, None);
        let both = [("SSL_CERT_FILE", "~/a.pem"), ("REQUESTS_CA_BUNDLE", "/b.pem")];
        assert_eq!(with(&both).certificates.as_deref(), Some(Path::new("/home/a.pem")));
        assert_eq!(with(&both[1..]).certificates.as_deref(), Some(Path::new("/b.pem")));
    }
}
