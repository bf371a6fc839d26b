//! One file: what the hub announces about it, and its bytes, continued where they broke off.

use std::io::{self, Read as _};

use ureq::http::Uri;

use crate::checksum::Checksum;
use crate::error::HubError;
use crate::name::HubName;
use crate::net::{Client, Reply, Request, encoded};
use crate::partial::{CHUNK, Partial};
use crate::retry::Failure;

/// What the hub says about a file before it gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Names the content: its SHA-256 for large files, Git's hash for others.
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// Where the content is now; links to stores run out.
    pub(crate) url: Uri,
}

impl Announced {
    /// What proves the content, begun.
    pub(crate) fn checksum(&self) -> Checksum {
        Checksum::of(&self.etag, self.size)
    }
}

/// A file of a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a HubName,
    pub(crate) commit: &'a str,
    pub(crate) file: &'a str,
    /// What the listing says.
    pub(crate) size: Option<u64>,
}

impl Client {
    /// Asks about a file (`get_hf_file_metadata` of `huggingface_hub`).
    pub(crate) fn announced(&self, wanted: Wanted<'_>) -> Result<Announced, Failure> {
        let Wanted { name, commit, file, size } = wanted;
        let url = self.url(&format!("/{}/resolve/{commit}/{}", name.repository(), encoded(file, true)))?;
        let reply = self.ask(Request::Head, &url, name, file)?;
        if let Some(found) = reply.header("x-repo-commit").filter(|found| *found != commit) {
            let found: String = found.chars().take(60).collect();
            return Err(self.answer(file, format!("it is of commit \"{found}\", expected {commit}")).into());
        }
        let Some(etag) = reply.header("x-linked-etag").or_else(|| reply.header("etag")).and_then(tag) else {
            return Err(self.answer(file, "it has no ETag that could name a file of the cache".into()).into());
        };
        let number = |name: &str| reply.header(name).and_then(|value| value.parse().ok());
        let length = || if reply.status.is_success() { number("content-length") } else { None };
        let Some(size) = number("x-linked-size").or_else(length).or(size) else {
            return Err(self.answer(file, "it does not say how large the file is".into()).into());
        };
        Ok(Announced { etag, size, url: reply.url })
    }

    /// Brings what is missing of a content, and proves that all of it is right. `arrived` hears how many bytes are there.
    /// What can still become right stays after a failure.
    pub(crate) fn transfer(
        &self,
        wanted: Wanted<'_>,
        announced: &Announced,
        partial: &mut Partial,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        partial.catch_up(announced)?;
        let begin = partial.have();
        if begin < announced.size {
            self.receive(wanted, announced, partial, arrived)?;
        }
        let have = partial.have();
        let (what, found, expected) = if have > announced.size {
            ("size", format!("more than {have} bytes"), announced.size.to_string())
        } else {
            let Some((what, found)) = partial.mismatch(announced) else { return Ok(()) };
            (what, found, announced.etag.clone())
        };
        let (name, file) = (wanted.name.clone(), wanted.file.to_owned());
        let error = HubError::Damaged { name, file, what, found, expected };
        // What was there before may have been the wrong part of it.
        Err(if begin > 0 { Failure::Passing { error, wait: None } } else { Failure::Final(error) })
    }

    fn receive(
        &self,
        wanted: Wanted<'_>,
        announced: &Announced,
        partial: &mut Partial,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let reply = match self.ask(Request::Get(partial.have()), &announced.url, wanted.name, wanted.file) {
            Err(failure) if failure.is_status(416) => {
                partial.clear(announced)?;
                return Err(failure);
            }
            reply => reply?,
        };
        if !self.goes_on(&reply, partial.have(), announced) {
            // The whole content, or another one, comes instead of the rest.
            partial.clear(announced)?;
            if reply.status != 200 || !is_same(&reply, announced) {
                return Err(self.broken(&wanted, "what it gives is not the rest of what it gave before"));
            }
        }
        let mut body = self.read(reply.body);
        let mut chunk = vec![0; CHUNK];
        while partial.have() <= announced.size {
            let count = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let problem = format!("{error}; {} of {} bytes are kept", partial.have(), announced.size);
                    return Err(self.broken(&wanted, &problem));
                }
            };
            partial.append(&chunk[..count])?;
            arrived(partial.have());
        }
        if partial.have() < announced.size {
            let problem = format!("it ended after {} of {} bytes", partial.have(), announced.size);
            return Err(self.broken(&wanted, &problem));
        }
        Ok(())
    }

    /// Whether an answer is the rest of a content.
    fn goes_on(&self, reply: &Reply, have: u64, announced: &Announced) -> bool {
        if have == 0 {
            return reply.status == 200 && is_same(reply, announced);
        }
        let range = reply.header("content-range");
        let is_rest = range.is_some_and(|range| {
            range.strip_prefix("bytes ").and_then(|range| range.strip_prefix(&format!("{have}-"))).is_some_and(|rest| {
                rest.split_once('/').is_some_and(|(_, total)| total == "*" || total.parse() == Ok(announced.size))
            })
        });
        reply.status == 206 && is_rest && is_same(reply, announced)
    }

    fn broken(&self, wanted: &Wanted<'_>, problem: &str) -> Failure {
        let (host, what, problem) = (self.host().to_owned(), wanted.file.to_owned(), problem.to_owned());
        Failure::Passing { error: HubError::Unreachable { host, what, problem }, wait: None }
    }
}

/// Whether the hub gives the content that it announced. Stores of contents have tags of their own.
fn is_same(reply: &Reply, announced: &Announced) -> bool {
    !reply.is_own || reply.header("etag").is_none_or(|found| tag(found).as_ref() == Some(&announced.etag))
}

/// A tag without its quotes and its mark of weakness, where it can name a file.
fn tag(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.bytes().all(is_allowed);
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_files_or_are_refused() {
        assert_eq!(tag("\"abc123\"").as_deref(), Some("abc123"));
        assert_eq!(tag(" W/\"abc-1\"").as_deref(), Some("abc-1"));
        for bad in ["", "\"\"", "../x", "\"../../x\"", "a/b", "a\\b", ".hidden", "a:b", "a b", "a\"b", &"a".repeat(200)]
        {
            assert_eq!(tag(bad), None, "{bad}");
        }
    }
}
