//! HTTP with the hub: one agent, the token for the hub's own address only, redirects followed by hand.

use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, Uri, header};
use ureq::{Agent, Body, BodyReader};

use crate::error::{Denial, HubError};
use crate::name::HubName;
use crate::pace::Paced;
use crate::retry::Failure;
use crate::settings::{Pace, Settings};
use crate::tls;

/// How long anything takes at most for somebody who can do without it.
const HASTE: Duration = Duration::from_secs(5);

/// Redirects that are followed; the hub uses two.
const MOST_REDIRECTS: usize = 10;

/// What asks the hub.
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    /// The value of the header, where there is a token.
    authorization: Option<String>,
    pace: Pace,
}

/// Who answers at an address. A token is for one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    is_encrypted: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let is_encrypted = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let port = authority.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        Some(Self { is_encrypted, host: authority.host().to_ascii_lowercase(), port })
    }

    /// Whether it is this machine, which no proxy stands before.
    fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }
}

/// How far a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Only the headers, and only what the hub itself says: a redirect to others is the answer.
    Head,
    /// The content from this byte on, wherever it lies.
    Get(u64),
}

/// An answer with a status of success, or the hub's redirect to another host.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Where the content is.
    pub(crate) url: Uri,
    /// Whether the hub itself answers for the content.
    pub(crate) is_own: bool,
}

impl Reply {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
    }
}

impl Client {
    /// `is_hasty`: nobody waits for long.
    pub(crate) fn new(settings: &Settings, is_hasty: bool) -> Result<Self, HubError> {
        let endpoint = settings.endpoint.clone();
        let origin = endpoint.parse().ok().and_then(|uri| Origin::of(&uri));
        let Some(origin) = origin else { return Err(HubError::endpoint(&endpoint)) };
        let (patience, pace) = match is_hasty {
            true => (settings.patience.min(HASTE), settings.pace.within(HASTE)),
            false => (settings.patience, settings.pace),
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("neuro/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls::config(settings.certificates.as_deref())?)
            .timeout_resolve(is_hasty.then_some(patience))
            .timeout_connect(Some(patience.min(Duration::from_secs(10))))
            .timeout_recv_response(Some(patience))
            // Of each read: a content takes as long as it takes, so long as enough comes.
            .timeout_per_read(Some(patience));
        if origin.is_local() {
            config = config.proxy(None);
        }
        let authorization = settings.token.as_ref().map(crate::Token::header);
        Ok(Self { agent: config.build().new_agent(), endpoint, origin, authorization, pace })
    }

    /// Whom this asks, for messages.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.split_once("://").map_or(&self.endpoint, |(_, rest)| rest)
    }

    /// What an answer holds.
    pub(crate) fn read(&self, body: Body) -> Paced<BodyReader<'static>> {
        Paced::new(body.into_reader(), self.pace)
    }

    /// An address of the hub. `path` begins with `/` and is encoded already.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, HubError> {
        let url = format!("{}{path}", self.endpoint);
        url.parse().map_err(|_| HubError::endpoint(&self.endpoint))
    }

    /// Asks for `what`, of a model.
    pub(crate) fn ask(&self, request: Request, url: &Uri, name: &HubName, what: &str) -> Result<Reply, Failure> {
        let mut url = url.clone();
        for _ in 0..MOST_REDIRECTS {
            let origin =
                Origin::of(&url).ok_or_else(|| self.answer(what, "it leads to an address that is none".into()))?;
            let is_own = origin == self.origin;
            let response = self.send(request, &url, is_own).map_err(|error| unreachable(&origin.host, what, &error))?;
            let (parts, body) = response.into_parts();
            let next = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = next.filter(|_| parts.status.is_redirection());
            if let Some(next) = next {
                let next =
                    join(&url, next).ok_or_else(|| self.answer(what, "it leads to an address that is none".into()))?;
                let target = Origin::of(&next);
                if origin.is_encrypted && target.as_ref().is_some_and(|target| !target.is_encrypted) {
                    return Err(self.answer(what, "it leads to an address without encryption".into()).into());
                }
                if request == Request::Head && target.is_some() && target.as_ref() != Some(&self.origin) {
                    return Ok(Reply { status: parts.status, headers: parts.headers, body, url: next, is_own: false });
                }
                url = next;
                continue;
            }
            let reply = Reply { status: parts.status, headers: parts.headers, body, url, is_own };
            return if reply.status.is_success() { Ok(reply) } else { Err(self.refusal(&reply, &origin, name, what)) };
        }
        Err(self.answer(what, format!("it leads on to other addresses more than {MOST_REDIRECTS} times")).into())
    }

    fn send(&self, request: Request, url: &Uri, is_own: bool) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let mut builder = match request {
            Request::Head => self.agent.head(url),
            Request::Get(_) => self.agent.get(url),
        };
        // A compressed answer would have another length than the file.
        builder = builder.header(header::ACCEPT_ENCODING, "identity");
        if let (Some(authorization), true) = (&self.authorization, is_own) {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        if let Request::Get(start @ 1..) = request {
            builder = builder.header(header::RANGE, format!("bytes={start}-"));
        }
        builder.call()
    }

    /// An answer of the hub that is not understood.
    pub(crate) fn answer(&self, what: &str, problem: String) -> HubError {
        HubError::Answer { host: self.host().to_owned(), what: what.to_owned(), problem }
    }

    /// What a status means, with the hub's own code where it gives one (`hf_raise_for_status` of `huggingface_hub`).
    fn refusal(&self, reply: &Reply, origin: &Origin, name: &HubName, what: &str) -> Failure {
        let (name, host, status) = (name.clone(), origin.host.clone(), reply.status.as_u16());
        let wait = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
        if status == 429 {
            return Failure::Passing { error: HubError::Busy { host, wait }, wait: wait.map(Duration::from_secs) };
        }
        let what = what.to_owned();
        if status >= 500 || matches!(status, 408 | 416) {
            return Failure::Passing {
                error: HubError::Status { host, what, status },
                wait: wait.map(Duration::from_secs),
            };
        }
        // A link to a store of contents that has run out.
        if !reply.is_own && matches!(status, 401 | 403) {
            return Failure::Passing { error: HubError::Status { host, what, status }, wait: None };
        }
        let host = self.host().to_owned();
        let denied = |reason| HubError::Denied { name: name.clone(), host: host.clone(), status, reason };
        Failure::Final(match (reply.header("x-error-code"), status) {
            (Some("GatedRepo"), _) => denied(Denial::Gated),
            (Some("RepoNotFound"), _) => HubError::NoRepository { name, host, status },
            (Some("RevisionNotFound"), _) => HubError::NoRevision { name, host },
            (Some("EntryNotFound"), _) => HubError::NoFile { name, file: what },
            (_, 401 | 403) => denied(if self.authorization.is_some() { Denial::Token } else { Denial::NoToken }),
            (_, 404) => HubError::NoRepository { name, host, status },
            _ => HubError::Status { host, what, status },
        })
    }
}

/// A request that got no answer.
fn unreachable(host: &str, what: &str, error: &ureq::Error) -> Failure {
    if let Some(problem) = tls::distrust(error) {
        return Failure::Final(HubError::Untrusted { host: host.to_owned(), problem });
    }
    let (host, what, problem) = (host.to_owned(), what.to_owned(), error.to_string());
    Failure::Passing { error: HubError::Unreachable { host, what, problem }, wait: None }
}

/// The address that a `Location` names; only whole ones and paths of the same host, as the hub gives them.
fn join(base: &Uri, location: &str) -> Option<Uri> {
    // What stands behind `#` is for browsers.
    let location = location.split('#').next().unwrap_or(location);
    if location.starts_with("//") {
        return format!("{}:{location}", base.scheme_str()?).parse().ok();
    }
    if location.starts_with('/') {
        return format!("{}://{}{location}", base.scheme_str()?, base.authority()?).parse().ok();
    }
    location.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some())
}

/// A part of an address, with everything encoded that could mean something else. `/` is kept where it parts a path.
pub(crate) fn encoded(text: &str, keeps_slash: bool) -> String {
    use std::fmt::Write as _;
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') || keeps_slash && byte == b'/' {
            result.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(result, "%{byte:02X}");
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_and_told_apart() {
        let base: Uri = "https://Hub.co/a/b?c=d".parse().expect("an address");
        let join = |location| join(&base, location).map(|uri| uri.to_string());
        assert_eq!(join("/x?y=z#part").as_deref(), Some("https://Hub.co/x?y=z"));
        assert_eq!(join("//cdn.co/x").as_deref(), Some("https://cdn.co/x"));
        assert_eq!(join("http://cdn.co:81/x").as_deref(), Some("http://cdn.co:81/x"));
        assert_eq!(join("x/y"), None);
        let origin = |text: &str| Origin::of(&text.parse().expect("an address"));
        assert_eq!(origin("https://hub.co/x"), origin("https://HUB.co:443/"));
        for other in ["http://hub.co/", "https://hub.co:444/", "https://hub.co.evil.org/", "https://evil.org/hub.co"] {
            assert_ne!(origin("https://hub.co/"), origin(other), "{other}");
        }
        assert_eq!(origin("https://user@hub.co/"), None);
        assert_eq!(origin("file://hub.co/x"), None);
    }

    #[test]
    fn parts_of_addresses_are_encoded() {
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("a b/ü?#%.gguf", true), "a%20b/%C3%BC%3F%23%25.gguf");
    }
}
