//! Models by their names on the Hugging Face hub: what is told while one is found, and what to do when it is not.

use std::time::Duration;

use neuro_hub::{Denial, Event, HubError, HubName, Need, Settings, Snapshot};

use crate::error::Failure;
use crate::printer::Printer;
use crate::progress::Progress;

/// Pauses that are not worth a word.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Finds a model in the cache, or downloads it, and says which commit it is.
///
/// # Errors
/// When it cannot be had, with advice.
pub(crate) fn find(name: &HubName, need: Need, printer: &Printer) -> anyhow::Result<Snapshot> {
    let failure = |settings: Option<&Settings>| {
        let page = settings.map(|settings| format!("{}/{}", settings.endpoint, name.repository()));
        move |error: HubError| told(&error, name, page.as_deref())
    };
    let settings = Settings::from_env().map_err(failure(None))?;
    let mut watcher = Watcher { printer, bar: Progress::bar(printer, format!("fetching {}", name.repository())) };
    let found = neuro_hub::find(name, need, &settings, &mut |event| watcher.hear(&event));
    drop(watcher);
    let snapshot = found.map_err(failure(Some(&settings)))?;
    let place = if snapshot.is_fresh { "from the hub" } else { "as it is in the cache" };
    printer.note(format_args!("{name} is commit {}, {place}", snapshot.commit));
    Ok(snapshot)
}

/// Shows how far a download is.
struct Watcher<'a> {
    printer: &'a Printer,
    bar: Progress,
}

impl Watcher<'_> {
    fn hear(&mut self, event: &Event<'_>) {
        let say = |text: String| self.bar.suspend(|| self.printer.note(text));
        match event {
            Event::Progress { file, done, total } => {
                let gigabytes = |bytes: u64| bytes as f64 / 1e9;
                let message = format!("{file} · {:.2} of {:.2} GB", gigabytes(*done), gigabytes(*total));
                self.bar.set(*done as f64 / (*total).max(1) as f64, None, message);
            }
            Event::Waiting { file } => say(format!("waiting for another process, which downloads {file}")),
            Event::Retrying { problem, pause } if *pause >= SHORT_PAUSE => {
                say(format!("{problem}; trying again in {:.0} s", pause.as_secs_f64()));
            }
            Event::Incomplete { problem: Some(problem), .. } => self.bar.suspend(|| {
                self.printer.warning(format_args!("{problem}; what is in the cache is used as it is"));
            }),
            Event::Incomplete { lacking, problem: None } => {
                say(format!("what is in the cache is used without asking the hub, though {lacking}"));
            }
            _ => {}
        }
    }
}

/// A failure with what can be done about it. `page` is the model's page on the hub.
fn told(error: &HubError, name: &HubName, page: Option<&str>) -> anyhow::Error {
    let failure = Failure::new(error.to_string());
    let (page, repository) = (page.unwrap_or("its page"), name.repository());
    let token = "give an access token: HF_TOKEN=hf_… before the command, or `hf auth login` once";
    let flag = match name.revision() {
        "main" => String::new(),
        revision => format!(" --revision {revision}"),
    };
    let elsewhere = "or give as MODEL the path of a folder with config.json and *.safetensors, or of a .gguf file";
    match error {
        HubError::NotHere { .. } => {
            failure.hint(format!("fetch it where there is a network: hf download {repository}{flag}")).hint(elsewhere)
        }
        HubError::NoRepository { .. } => failure
            .hint(format!("{repository} is no folder here, so it was looked for as a name; compare it with {page}"))
            .hint(format!("for a private model {token}")),
        HubError::NoRevision { .. } => failure.hint(format!("branches and tags are listed at {page}/tree/main")),
        HubError::Gone { reference: Some(reference), .. } => failure
            .hint(format!("to fetch {} as it is now, remove {}", name.revision(), reference.display()))
            .hint(elsewhere),
        HubError::Gone { .. } => {
            failure.hint(format!("commits are listed at {page}/commits/main")).hint(elsewhere)
        }
        HubError::Untrusted { .. } => failure
            .hint("where a proxy opens TLS, add its certificate to those that the system trusts, or name a PEM file: SSL_CERT_FILE=…")
            .hint("a Linux without certificates, such as a small container, gets them with its package ca-certificates"),
        HubError::Certificates { .. } => {
            failure.hint("SSL_CERT_FILE or REQUESTS_CA_BUNDLE names it; without them, whom the system trusts is trusted")
        }
        HubError::Denied { reason: Denial::Gated, .. } => {
            failure.hint(format!("accept its conditions at {page}")).hint(format!("then {token}"))
        }
        HubError::Denied { reason: Denial::NoToken, .. } => {
            failure.hint(format!("compare the name with {page}")).hint(format!("for a private model {token}"))
        }
        HubError::Denied { .. } => {
            failure.hint("make a token that may read this model, on the hub under Settings, Access Tokens").hint(token)
        }
        HubError::Busy { .. } => failure
            .hint("wait, then give the same command again: it continues what has arrived")
            .hint(format!("more requests are allowed to those who {token}")),
        HubError::Unreachable { .. } | HubError::Status { .. } => failure
            .hint("give the same command again, when the network is back: it continues what has arrived")
            .hint("a proxy is named by HTTPS_PROXY, a mirror of the hub by HF_ENDPOINT"),
        HubError::Damaged { .. } => failure
            .hint("give the same command again; when that does not help, HF_ENDPOINT or a proxy gives wrong files"),
        HubError::LeadsOut { .. } => failure.hint("remove the link, or give the path of a folder as MODEL"),
        HubError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            failure.hint("HF_HOME says where the cache is; the same command continues there or here")
        }
        _ => failure,
    }
    .into()
}
