//! One file: what the hub announces about it, and its bytes, continued where they broke off.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use ureq::http::Uri;

use crate::error::HubError;
use crate::name::HubName;
use crate::net::{Client, Reply, Request, encoded};
use crate::retry::Failure;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

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
    /// The SHA-256 that the content must have, where the tag is one. Git's hashes are shorter.
    fn sha256(&self) -> Option<&str> {
        (self.etag.len() == 64).then_some(self.etag.as_str())
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

    /// Brings what is missing of a content into `path`, and proves that all of it is right. `arrived` hears how many bytes
    /// are there. What can still become right stays on disk after a failure; what cannot is removed.
    pub(crate) fn transfer(
        &self,
        wanted: Wanted<'_>,
        announced: &Announced,
        path: &Path,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let failed = |source| Failure::Final(HubError::Io { path: path.to_path_buf(), source });
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut have = file.metadata().map_err(failed)?.len();
        if have > announced.size {
            have = 0;
            file.set_len(0).map_err(failed)?;
        }
        let begin = have;
        if announced.sha256().is_some() {
            io::copy(&mut (&mut file).take(have), &mut hash).map_err(failed)?;
        }
        if have < announced.size {
            let reply = match self.ask(Request::Get(have), &announced.url, wanted.name, wanted.file) {
                Err(failure) if failure.is_status(416) => {
                    file.set_len(0).map_err(failed)?;
                    return Err(failure);
                }
                reply => reply?,
            };
            if !self.goes_on(&reply, have, announced) {
                // The whole content, or another one, comes instead of the rest.
                file.set_len(0).map_err(failed)?;
                if reply.status != 200 || !is_same(&reply, announced) {
                    return Err(self.broken(&wanted, "what it gives is not the rest of what it gave before"));
                }
                (have, hash) = (0, Sha256::new());
            }
            file.seek(SeekFrom::Start(have)).map_err(failed)?;
            let mut body = reply.body.into_reader();
            let mut chunk = vec![0; CHUNK];
            while have <= announced.size {
                let count = match body.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(self.broken(&wanted, &error.to_string())),
                };
                file.write_all(&chunk[..count]).map_err(failed)?;
                hash.update(&chunk[..count]);
                have += count as u64;
                arrived(have);
            }
            if have < announced.size {
                return Err(self.broken(&wanted, &format!("it ended after {have} of {} bytes", announced.size)));
            }
        }
        let damage = if have > announced.size {
            Some(("size", format!("more than {have} bytes"), announced.size.to_string()))
        } else {
            let expected = announced.sha256();
            let found = expected.map(|_| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            found
                .zip(expected)
                .filter(|(found, expected)| found != expected)
                .map(|(found, expected)| ("SHA-256", found, expected.to_owned()))
        };
        let Some((what, found, expected)) = damage else {
            return file.sync_all().map_err(failed);
        };
        drop(file);
        std::fs::remove_file(path).map_err(failed)?;
        let error =
            HubError::Damaged { name: wanted.name.clone(), file: wanted.file.to_owned(), what, found, expected };
        // What was there before may have been the wrong part of it.
        Err(if begin > 0 { Failure::Passing { error, wait: None } } else { Failure::Final(error) })
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
