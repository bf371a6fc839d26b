//! Models by their names on a hub that runs in this process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Place, assert_page, fixture};

#[path = "../../../hub/tests/common/mod.rs"]
mod common;

use common::{Fault, Hub, sha256};

const COMMIT: &str = "1111111111111111111111111111111111111111";

/// A hub with the files of a folder as `org/name`.
fn hub_of(folder: &Path) -> Hub {
    let hub = Hub::new();
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file()).map(|path| {
        let name = path.file_name().expect("a name").to_str().expect("ASCII").to_owned();
        (name, std::fs::read(&path).expect("readable"))
    });
    let files: Vec<_> = files.collect();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    hub.commit("main", COMMIT, &files);
    hub
}

/// The command, with the network.
fn online(place: &Place, hub: &Hub, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("HF_ENDPOINT", &hub.endpoint).env_remove("HF_HUB_OFFLINE");
    command
}

/// What the command says, with the network.
fn run(place: &Place, hub: &Hub, arguments: &[&str]) -> String {
    let output = online(place, hub, arguments).output().expect("the binary runs");
    let host = hub.endpoint.trim_start_matches("http://");
    place.transcript(&output).replace(&hub.endpoint, "[hub]").replace(host, "[hub]")
}

#[test]
fn a_model_is_described_without_the_network_once_it_is_there() {
    let (place, hub) = (Place::new(), hub_of(&fixture()));
    let fresh = run(&place, &hub, &["doctor", "org/name", "--quick", "--json"]);
    assert!(fresh.starts_with("exit code: 0") && fresh.contains("from the hub"), "{fresh}");
    hub.asked();
    let again = place.run(&["doctor", "org/name@main", "--quick", "--json"]);
    assert!(again.starts_with("exit code: 0") && again.contains("as it is in the cache"), "{again}");
    assert_eq!(hub.asked(), []);
    let document = place.json(&["doctor", "org/name", "--quick", "--json"]);
    let folder = place.json(&["doctor", &fixture().display().to_string(), "--quick", "--json"]);
    assert_eq!(document["model"]["name"], "name");
    assert_eq!(document["model"]["layers"], folder["model"]["layers"]);
}

#[test]
fn a_run_names_the_commit_and_goes_on_with_it() {
    let phantom = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms/phantom");
    let (place, hub) = (Place::new(), hub_of(&phantom));
    let arguments = ["probe", "org/name", "--path", "(4,8)", "--questions", "4", "--out", "run"];
    let text = run(&place, &hub, &arguments);
    assert!(text.starts_with("exit code: 0"), "{text}");
    assert!(text.contains(&format!("org/name is commit {COMMIT}, from the hub")), "{text}");
    let info = std::fs::read(place.path().join("run/run.json")).expect("a run");
    let info: serde_json::Value = serde_json::from_slice(&info).expect("JSON");
    assert_eq!(info["settings"]["source"], format!("org/name@{COMMIT}"));
    assert_eq!(info["model"]["id"], "name");
    // The same command continues the run, whatever the hub has by now.
    hub.commit("main", "2222222222222222222222222222222222222222", &[("config.json", b"{}")]);
    let again = place.run(&arguments);
    assert!(again.starts_with("exit code: 0") && again.contains(COMMIT), "{again}");
}

#[test]
fn two_commands_at_once_load_a_model_once() {
    let (place, hub) = (Place::new(), hub_of(&fixture()));
    let weights = std::fs::read(fixture().join("model.safetensors")).expect("weights");
    hub.fail(&format!("/store/{}", sha256(&weights)), Fault::Slow(Duration::from_millis(5)));
    let start = |out| {
        let mut command = online(&place, &hub, &["logits", "org/name", "--tokens", "1,2", "--out", out]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    };
    let children = [start("a.safetensors"), start("b.safetensors")];
    for child in children {
        let output = child.wait_with_output().expect("the binary ends");
        assert!(output.status.success(), "{}", place.transcript(&output));
    }
    assert_eq!(hub.loads().len(), 1);
    let folder = fixture().display().to_string();
    assert!(place.output(&["logits", &folder, "--tokens", "1,2", "--out", "c.safetensors"]).status.success());
    let read = |name: &str| std::fs::read(place.path().join(name)).expect("logits");
    assert_eq!(read("a.safetensors"), read("c.safetensors"));
    assert_eq!(read("b.safetensors"), read("c.safetensors"));
}

#[test]
fn what_is_not_there_or_not_allowed_is_said_with_advice() {
    let (place, hub) = (Place::new(), Hub::new());
    hub.commit("main", COMMIT, &[("README.md", b"x"), ("name-Q8_0.gguf", b"x"), ("name-Q4_K_M.gguf", b"x")]);
    let logits = |name: &str| run(&place, &hub, &["logits", name, "--tokens", "1", "--out", "f"]);
    let mut said = ["other/name", "org/name@v9", "org/name", "org/name:name-Q2_K.gguf"].map(logits).join("\n");
    for (status, headers) in [
        (403, vec![("X-Error-Code", "GatedRepo")]),
        (401, Vec::new()),
        (404, vec![("X-Error-Code", "RepoNotFound")]),
        (429, vec![("Retry-After", "900")]),
    ] {
        hub.fail("/api/", Fault::Status(status, headers));
        said.push_str(&format!("\n{}", logits("org/name")));
    }
    assert_page!("hub_refusals", said);
}

#[test]
fn a_token_is_used_and_never_shown() {
    let (place, hub) = (Place::new(), hub_of(&fixture()));
    hub.fail("/api/", Fault::Status(401, Vec::new()));
    let mut command = online(&place, &hub, &["doctor", "org/name", "--quick"]);
    let output = command.env("HF_TOKEN", "hf_secret").output().expect("the binary runs");
    let text = place.transcript(&output);
    assert!(text.starts_with("exit code: 1") && text.contains("the access token is not valid"), "{text}");
    assert!(!text.contains("hf_secret"), "{text}");
    assert_eq!(hub.asked()[0].authorization.as_deref(), Some("Bearer hf_secret"));
}

#[test]
fn what_the_cache_may_lack_is_said() {
    let (place, hub) = (Place::new(), hub_of(&fixture()));
    assert!(run(&place, &hub, &["doctor", "org/name", "--quick"]).starts_with("exit code: 0"));
    let folder = place.path().join("hub/models--org--name");
    std::fs::remove_dir_all(folder.join(".no_exist")).expect("marks");
    let offline = place.run(&["doctor", "org/name", "--quick"]);
    assert!(offline.starts_with("exit code: 0"), "{offline}");
    assert!(offline.contains("is used without asking the hub, though it lacks"), "{offline}");
    // A commit that is gone: the settings may be missing, weights may not.
    hub.forget(COMMIT);
    let gone = run(&place, &hub, &["doctor", "org/name", "--quick"]);
    assert!(gone.starts_with("exit code: 0") && gone.contains("what is in the cache is used as it is"), "{gone}");
    std::fs::remove_file(folder.join("snapshots").join(COMMIT).join("model.safetensors")).expect("weights");
    let gone = run(&place, &hub, &["logits", "org/name", "--tokens", "1", "--out", "f"]);
    assert!(gone.contains("is no longer on [hub] (HTTP 404), and it lacks model.safetensors"), "{gone}");
    assert!(gone.contains("to fetch main as it is now, remove") && gone.contains("refs"), "{gone}");
}

#[test]
fn what_is_no_name_is_told_the_name_that_was_meant() {
    let place = Place::new();
    for (given, meant) in [
        ("https://huggingface.co/org/name/blob/main/q4/m.gguf", "org/name:q4/m.gguf"),
        ("https://huggingface.co/org/name", "org/name"),
        ("org/name/m.gguf", "org/name:m.gguf"),
    ] {
        let said = place.run(&["doctor", given, "--quick"]);
        assert!(said.contains("does not exist") && said.contains(&format!("it is named {meant}\n")), "{said}");
    }
}

#[test]
fn a_folder_of_the_same_name_goes_first() {
    let (place, hub) = (Place::new(), hub_of(&fixture()));
    std::fs::create_dir_all(place.path().join("org/name")).expect("a folder");
    let said = run(&place, &hub, &["doctor", "org/name", "--quick"]);
    assert!(said.contains("org/name is a folder here; on the Hugging Face hub, org/name@main is meant"), "{said}");
    assert_eq!(hub.asked(), []);
    let said = run(&place, &hub, &["doctor", "org/name@main", "--quick"]);
    assert!(said.starts_with("exit code: 0") && !said.contains("is a folder here"), "{said}");
}
