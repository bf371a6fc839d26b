//! A hub in this process: it answers as huggingface.co does, keeps large files at another address, breaks off, lies and
//! refuses when it is told to, and writes down what it was asked.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a helper of tests fails like a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The one repository.
pub(crate) const NAME: &str = "org/name";
/// Bytes of one write; a connection that breaks off does so between two.
const PIECE: usize = 1 << 10;

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection closes after so many bytes of the content.
    CloseAfter(usize),
    /// No more bytes come after so many, for this long.
    StallAfter(usize, Duration),
    /// Each piece of the content takes this long.
    Slow(Duration),
    /// A status with headers instead of an answer.
    Status(u16, Vec<(&'static str, &'static str)>),
    /// The whole content, whatever part was asked for.
    Whole,
}

/// A request as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whether the hub was asked, not the store of large files.
    pub(crate) is_hub: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

#[derive(Clone)]
struct Content {
    bytes: Vec<u8>,
    is_large: bool,
    /// What the hub says about it where that is not so.
    etag: Option<String>,
}

#[derive(Default)]
struct State {
    /// Commits by branch and tag.
    revisions: BTreeMap<String, String>,
    commits: BTreeMap<String, BTreeMap<String, Content>>,
    /// By a part of the path, the first of each is next. Hub and store are told apart by their paths.
    faults: Vec<(String, Fault)>,
    asked: Vec<Asked>,
    store: String,
}

pub(crate) struct Hub {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// A hub with an empty repository.
    pub(crate) fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let serve = |is_hub: bool| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = Arc::clone(&state);
                    // A reader that has enough closes the connection; that is no failure of a test.
                    std::thread::spawn(move || answer(&stream, is_hub, &state));
                }
            });
            address
        };
        let (endpoint, store) = (serve(true), serve(false));
        state.lock().unwrap().store = store;
        Self { endpoint, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A commit with these files, which the revision now is. Files named `*.safetensors`, `*.gguf` and `tokenizer.json`
    /// are large.
    pub(crate) fn commit(&self, revision: &str, commit: &str, files: &[(&str, &[u8])]) {
        let is_large = |path: &str| [".safetensors", ".gguf", "tokenizer.json"].iter().any(|end| path.ends_with(end));
        let content =
            |path: &str, bytes: &[u8]| Content { bytes: bytes.to_vec(), is_large: is_large(path), etag: None };
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), content(path, bytes))).collect();
        let mut state = self.state();
        state.revisions.insert(revision.to_owned(), commit.to_owned());
        state.commits.insert(commit.to_owned(), files);
    }

    /// Changes the content of a file of a commit, which the real hub never does.
    pub(crate) fn change(&self, commit: &str, path: &str, bytes: &[u8]) {
        self.state().commits.get_mut(commit).unwrap().get_mut(path).unwrap().bytes = bytes.to_vec();
    }

    /// Lets the hub announce another tag than the content has.
    pub(crate) fn lie(&self, commit: &str, path: &str, etag: &str) {
        self.state().commits.get_mut(commit).unwrap().get_mut(path).unwrap().etag = Some(etag.to_owned());
    }

    /// Lets a commit leave the hub, with the branches and tags that were it.
    pub(crate) fn forget(&self, commit: &str) {
        let mut state = self.state();
        state.commits.remove(commit);
        state.revisions.retain(|_, other| other != commit);
    }

    /// Lets hub and store be reached through other addresses, which are made of their own.
    pub(crate) fn behind(&mut self, other: impl Fn(&str) -> String) {
        self.endpoint = other(&self.endpoint);
        let mut state = self.state();
        state.store = other(&state.store);
    }

    /// Something goes wrong with the next request whose path contains this.
    pub(crate) fn fail(&self, path: &str, fault: Fault) {
        self.state().faults.push((path.to_owned(), fault));
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// The requests for contents from the store, with their ranges, since the last call.
    pub(crate) fn loads(&self) -> Vec<Option<String>> {
        self.asked().into_iter().filter(|asked| !asked.is_hub).map(|asked| asked.range).collect()
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The tag of a content: SHA-256 of a large one, and Git's hash of another.
pub(crate) fn etag(bytes: &[u8], is_large: bool) -> String {
    match is_large {
        true => sha256(bytes),
        false => hex(&Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(stream: &TcpStream, is_hub: bool, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let (range, authorization) = (headers.get("range").cloned(), headers.get("authorization").cloned());
    let asked = Asked { is_hub, method: method.clone(), path: path.clone(), range: range.clone(), authorization };
    // A mirror may have its own path before the hub's.
    let path = path.strip_prefix("/mirror").map(str::to_owned).unwrap_or(path);
    let mut state = state.lock().ok()?;
    state.asked.push(asked);
    let at = state.faults.iter().position(|(part, _)| path.contains(part.as_str()));
    let fault = at.map(|at| state.faults.remove(at).1);
    let head = method == "HEAD";
    if let Some(Fault::Status(status, headers)) = &fault {
        return reply(stream, *status, headers, b"refused", head, None);
    }
    if !is_hub {
        let wanted = path.strip_prefix("/store/")?.split('?').next()?.to_owned();
        let found = state.commits.values().flat_map(BTreeMap::values).find(|content| tag(content) == wanted).cloned();
        drop(state);
        return match found {
            Some(content) => send(stream, &[], &content.bytes, head, range.as_deref(), fault),
            None => reply(stream, 404, &[], b"", head, None),
        };
    }
    if let Some(revision) = path.strip_prefix("/api/models/org/name/revision/") {
        let revision = revision.split('?').next()?.replace("%2F", "/");
        let commit = state.revisions.get(&revision).cloned().unwrap_or(revision);
        let Some(files) = state.commits.get(&commit) else {
            return reply(stream, 404, &[("X-Error-Code", "RevisionNotFound")], b"", head, None);
        };
        let listed = |(path, content): (&String, &Content)| serde_json::json!({"rfilename": path, "size": content.bytes.len(), "blobId": "x"});
        let files: Vec<_> = files.iter().map(listed).collect();
        let body = serde_json::json!({"id": NAME, "sha": commit, "siblings": files, "private": false}).to_string();
        drop(state);
        return send(stream, &[], body.as_bytes(), head, None, fault);
    }
    // Small files lie at another address of the hub itself.
    let own = "/api/resolve-cache/models/org/name/";
    let rest = path.strip_prefix("/org/name/resolve/").or_else(|| path.strip_prefix(own));
    let Some((commit, file)) = rest.and_then(|rest| rest.split_once('/')) else {
        return reply(stream, 404, &[("X-Error-Code", "RepoNotFound")], b"", head, None);
    };
    let content = state.commits.get(commit).and_then(|files| files.get(&file.replace("%20", " "))).cloned();
    let store = state.store.clone();
    drop(state);
    let Some(content) = content else {
        return reply(stream, 404, &[("X-Error-Code", "EntryNotFound")], b"", head, None);
    };
    let (tagged, size) = (format!("\"{}\"", tag(&content)), content.bytes.len().to_string());
    if content.is_large {
        let location = format!("{store}/store/{}?signature=secret", tag(&content));
        let headers =
            [("X-Repo-Commit", commit), ("X-Linked-Etag", &tagged), ("X-Linked-Size", &size), ("Location", &location)];
        return reply(stream, 302, &headers, b"moved", head, None);
    }
    if !path.starts_with(own) {
        let location = format!("{own}{commit}/{file}");
        return reply(stream, 307, &[("X-Repo-Commit", commit), ("Location", &location)], b"moved", head, None);
    }
    let headers = [("X-Repo-Commit", commit), ("ETag", tagged.as_str())];
    send(stream, &headers, &content.bytes, head, range.as_deref(), fault)
}

fn tag(content: &Content) -> String {
    content.etag.clone().unwrap_or_else(|| etag(&content.bytes, content.is_large))
}

/// A content, or the part of it that is asked for.
fn send(
    stream: &TcpStream,
    headers: &[(&str, &str)],
    bytes: &[u8],
    head: bool,
    range: Option<&str>,
    fault: Option<Fault>,
) -> Option<()> {
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let start = start.filter(|_| !matches!(fault, Some(Fault::Whole)));
    let Some(start) = start else { return reply(stream, 200, headers, bytes, head, fault) };
    if start >= bytes.len() {
        return reply(stream, 416, headers, b"", head, None);
    }
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    let headers = [headers, &[("Content-Range", range.as_str())]].concat();
    reply(stream, 206, &headers, &bytes[start..], head, fault)
}

fn reply(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    head: bool,
    fault: Option<Fault>,
) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).ok()?;
    if head {
        return Some(());
    }
    let mut sent = 0;
    for piece in body.chunks(PIECE) {
        match fault {
            Some(Fault::CloseAfter(bytes)) if sent >= bytes => return None,
            Some(Fault::StallAfter(bytes, time)) if sent >= bytes => {
                std::thread::sleep(time);
                return None;
            }
            Some(Fault::Slow(time)) => std::thread::sleep(time),
            _ => {}
        }
        stream.write_all(piece).ok()?;
        stream.flush().ok()?;
        sent += piece.len();
    }
    Some(())
}
