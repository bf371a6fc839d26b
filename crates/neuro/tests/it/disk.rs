//! What kills and full disks leave: never a file or folder that passes for whole, and the same command ends the work. And what
//! a system says that has no room for threads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::support::{Place, phantom_run};

const LAYERS: usize = 12;
const PATH: &str = "(4,9)";

/// A checkpoint of six shards of 5 MB each, whose numbers all differ.
fn sharded(place: &Place) -> PathBuf {
    let folder = place.path().join("model");
    fs::create_dir(&folder).expect("a folder");
    let (hidden, inner) = (192, 896);
    let config = json!({
        "model_type": "llama", "vocab_size": 64, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": LAYERS,
        "num_attention_heads": 6, "num_key_value_heads": 6, "tie_word_embeddings": true, "torch_dtype": "float32",
    });
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
    let mut map = Map::new();
    let mut state = 1_u32;
    for shard in 0..LAYERS / 2 {
        let name = format!("model-{:05}-of-{:05}.safetensors", shard + 1, LAYERS / 2);
        let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
        if shard == 0 {
            tensors.push(("model.embed_tokens.weight".to_owned(), vec![64, hidden]));
            tensors.push(("model.norm.weight".to_owned(), vec![hidden]));
        }
        for layer in [2 * shard, 2 * shard + 1] {
            let own = |part: &str| format!("model.layers.{layer}.{part}.weight");
            tensors.extend(
                ["q", "k", "v", "o"].map(|name| (own(&format!("self_attn.{name}_proj")), vec![hidden, hidden])),
            );
            tensors.extend(["gate", "up"].map(|name| (own(&format!("mlp.{name}_proj")), vec![inner, hidden])));
            tensors.push((own("mlp.down_proj"), vec![hidden, inner]));
            tensors.extend(["input_layernorm", "post_attention_layernorm"].map(|name| (own(name), vec![hidden])));
        }
        let (mut entries, mut data) = (Map::new(), Vec::new());
        for (tensor, shape) in tensors {
            let start = data.len();
            for _ in 0..shape.iter().product::<usize>() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32 * 0.2;
                data.extend(number.to_le_bytes());
            }
            entries
                .insert(tensor.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }));
            map.insert(tensor, name.clone().into());
        }
        let mut head = Value::Object(entries).to_string().into_bytes();
        head.resize(head.len().next_multiple_of(8), b' ');
        let mut file = File::create(folder.join(&name)).expect("created");
        for part in [&(head.len() as u64).to_le_bytes()[..], &head, &data] {
            file.write_all(part).expect("written");
        }
    }
    let index = json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).expect("written");
    folder
}

/// Every file by its name: a folder's, or the file itself.
fn contents(place: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |file: &Path| fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if place.is_file() {
        return BTreeMap::from([(String::new(), read(place))]);
    }
    let entries = place.read_dir().expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path()))).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn arguments<'a>(model: &'a str, form: &'a str, out: &'a str) -> [&'a str; 7] {
    ["export", model, "--path", PATH, "--to", form, out]
}

/// Kills exports at points from their beginning to their end and looks. Gives how many had not ended, and how many of
/// those left weight files that the next one went on with.
fn kill_at_points(form: &str, ending: &str, points: u32) -> (usize, usize) {
    let place = Place::new();
    let model = sharded(&place).display().to_string();
    let whole_name = format!("whole{ending}");
    let begin = Instant::now();
    let output = place.output(&arguments(&model, form, &whole_name));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let time = begin.elapsed();
    let whole = contents(&place.path().join(&whole_name));

    let (mut killed, mut resumed) = (0, 0);
    for point in 0..points {
        let name = format!("out{point}{ending}");
        let out = place.path().join(&name);
        let mut command = place.command(&arguments(&model, form, &name));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        std::thread::sleep(time.mul_f64((f64::from(point) + 0.5) / f64::from(points)));
        // Nothing is caught or cleaned up: SIGKILL, or its like elsewhere.
        child.kill().expect("killed, or ended before");
        child.wait().expect("a status");

        if out.exists() {
            assert_eq!(contents(&out), whole, "{name} passes for whole");
        } else {
            killed += 1;
        }
        let partial = place.path().join(format!(".{name}.neuro-partial{ending}"));
        let left = names(place.path()).into_iter().filter(|found| found.contains(&name) && *found != name);
        left.for_each(|found| assert!(found.starts_with(&format!(".{name}.neuro-")), "{found} was left"));
        if partial.is_dir() {
            let weights: Vec<_> =
                contents(&partial).into_iter().filter(|(name, _)| name.ends_with(".safetensors")).collect();
            weights
                .iter()
                .for_each(|(name, bytes)| assert_eq!(Some(bytes), whole.get(name), "{name} passes for whole"));
            resumed += usize::from(!weights.is_empty());
        }
        if !out.exists() {
            let left = if partial.is_dir() { contents(&partial) } else { BTreeMap::new() };
            let whole = left.keys().filter(|name| name.ends_with(".safetensors")).count();
            let told = place.json(&[&arguments(&model, form, &name)[..], &["--json"]].concat());
            assert_eq!(told["kept_bytes"] != 0, whole > 0, "{whole} files were whole: {told}");
        }
        assert_eq!(contents(&out), whole);
        assert!(!names(place.path()).iter().any(|found| found.starts_with('.')), "{:?}", names(place.path()));
    }
    (killed, resumed)
}

#[test]
fn a_killed_export_of_a_folder_is_resumed() {
    let (killed, resumed) = kill_at_points("hf", "", 14);
    assert!(killed > 3 && resumed > 0, "{killed} killed, {resumed} resumed");
}

#[test]
fn a_killed_export_of_a_file_begins_anew() {
    let (killed, _) = kill_at_points("gguf", ".gguf", 4);
    assert!(killed > 1, "{killed} killed");
}

/// What Ctrl-C says and leaves, whenever it comes.
#[cfg(unix)]
#[test]
fn an_interrupted_export_says_so_and_leaves_nothing() {
    let place = Place::new();
    let model = sharded(&place).display().to_string();
    let mut interrupted = 0;
    for (form, ending) in [("hf", ""), ("gguf", ".gguf")] {
        for point in 0..4_u64 {
            let name = format!("out{point}{ending}");
            let mut command = place.command(&arguments(&model, form, &name));
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
            let partial = place.path().join(format!(".{name}.neuro-partial{ending}"));
            let begin = Instant::now();
            // By then it watches for Ctrl-C.
            while !partial.exists() && begin.elapsed() < Duration::from_secs(30) && !place.path().join(&name).exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(5 * point));
            let kill = format!("kill -INT {}", child.id());
            let killed = Command::new("sh").args(["-c", &kill]).output().expect("sh runs");
            let output = child.wait_with_output().expect("a status");
            let talk = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(130) => {
                    interrupted += 1;
                    assert_eq!(talk, "what was written so far has been removed\ninterrupted\n");
                    assert!(
                        !names(place.path()).iter().any(|found| found.contains(&name)),
                        "{:?}",
                        names(place.path())
                    );
                }
                // It had ended before.
                Some(0) => assert!(place.path().join(&name).exists()),
                code => panic!("{code:?} {killed:?}: {talk}"),
            }
        }
    }
    assert!(interrupted > 2, "{interrupted}");
}

/// Only finished weight files stay, and only for the same export.
#[test]
fn what_a_killed_export_left_is_not_taken_for_that_of_another() {
    let place = Place::new();
    let model = sharded(&place).display().to_string();
    let mut command = place.command(&arguments(&model, "hf", "out"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let partial = place.path().join(".out.neuro-partial");
    let shard = partial.join("model-00001-of-00009.safetensors");
    while !shard.exists() {
        if child.try_wait().expect("a child").is_some() {
            panic!("the export ended before it was killed: {:?}", names(place.path()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("a status");
    // Another path with the same shards: nothing of them may stay.
    let marked = fs::metadata(&shard).expect("left").modified().expect("a time");
    let output = place.output(&["export", &model, "--path", "(2,7)", "--to", "hf", "out"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = place.path().join("out").join("model-00001-of-00009.safetensors");
    assert!(fs::metadata(written).expect("written").modified().expect("a time") > marked);
    let fresh = place.output(&["export", &model, "--path", "(2,7)", "--to", "hf", "fresh"]);
    assert!(fresh.status.success());
    assert_eq!(contents(&place.path().join("out")), contents(&place.path().join("fresh")));
}

/// The command with no file longer than so many blocks of 512 bytes, which is how a full disk looks from inside: writing
/// fails, or, as the system does it by default, kills.
#[cfg(target_os = "linux")]
fn limited(place: &Place, blocks: u32, kills: bool, arguments: &[&str]) -> Output {
    let ignore = if kills { "" } else { "trap '' XFSZ; " };
    behind(place, &format!("{ignore}ulimit -f {blocks}"), arguments)
}

/// The command behind what a shell does first.
#[cfg(target_os = "linux")]
fn behind(place: &Place, first: &str, arguments: &[&str]) -> Output {
    let plain = place.command(arguments);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -c 0; {first}; exec \"$0\" \"$@\""));
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(place.path()).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().expect("sh runs")
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_export() {
    let place = Place::new();
    let model = sharded(&place).display().to_string();
    let before = names(place.path());
    for (form, ending) in [("hf", ""), ("gguf", ".gguf")] {
        for (number, blocks) in [0, 1, 64, 2_000, 10_000].into_iter().enumerate() {
            let name = format!("out{number}{ending}");
            let output = limited(&place, blocks, false, &arguments(&model, form, &name));
            let talk = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{form} {blocks}: {talk}");
            assert!(talk.contains("cannot write") && talk.contains("os error 27"), "{form} {blocks}: {talk}");
            assert!(!names(place.path()).iter().any(|found| found.contains(&name)), "{form} {blocks}");

            // The same without a chance to clean up.
            let output = limited(&place, blocks, true, &arguments(&model, form, &name));
            assert_eq!(output.status.code(), None, "{form} {blocks}");
            assert!(!place.path().join(&name).exists(), "{form} {blocks}");
        }
        let name = format!("out4{ending}");
        assert!(place.output(&arguments(&model, form, &name)).status.success());
        let entries = fs::read_dir(place.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
        for left in entries.filter(|path| !before.iter().any(|name| path.ends_with(name))) {
            if left.is_dir() { fs::remove_dir_all(left) } else { fs::remove_file(left) }.expect("removed");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_verdict_and_the_same_command_ends_it() {
    let place = Place::new();
    let (from, to) = (phantom_run().path().join("run"), place.path().join("run"));
    fs::create_dir(&to).expect("a folder");
    for name in ["run.json", "rows.jsonl", "samples-phantom.jsonl"] {
        fs::copy(from.join(name), to.join(name)).expect("copied");
    }
    // The shipped phantom would be unpacked first, which the limit forbids as well.
    let phantom = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms/phantom").display().to_string();
    let command = [
        "confirm",
        "run",
        "--model",
        &phantom,
        "--draws",
        "0",
        "--questions",
        "64",
        "--finalists",
        "1",
        "--guard",
        "none",
        "--controls",
        "2",
    ];
    let folder = to.join("confirm");
    for (number, blocks) in [0, 2, 8, 40, 120].into_iter().enumerate() {
        let output = limited(&place, blocks, number % 2 == 1, &command);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{blocks}: {talk}");
        assert!(number % 2 == 1 || talk.contains("os error 27"), "{blocks}: {talk}");
        assert!(!folder.join("verdict.json").exists(), "{blocks}");
        let shown = place.json(&["show", "run", "--json"]);
        let is_complete = shown["confirm"].get("complete").is_some_and(|complete| *complete == true);
        assert!(!is_complete, "{blocks}: {:#}", shown["confirm"]);
    }
    let ended = place.json(&[&command[..], &["--json"]].concat());
    assert_eq!(ended["confirm"]["complete"], true);
    assert!(folder.join("verdict.json").is_file());
    let untouched = Place::new();
    let run = untouched.path().join("run");
    fs::create_dir(&run).expect("a folder");
    for name in ["run.json", "rows.jsonl", "samples-phantom.jsonl"] {
        fs::copy(from.join(name), run.join(name)).expect("copied");
    }
    let expected = untouched.json(&[&command[..], &["--json"]].concat());
    let told = |confirm: &Value| {
        let mut verdicts = confirm["verdicts"].as_array().expect("verdicts").clone();
        for verdict in &mut verdicts {
            // Times of this machine.
            verdict["cost"] = Value::Null;
            verdict["baseline_cost"] = Value::Null;
        }
        verdicts
    };
    assert_eq!(told(&ended["confirm"]), told(&expected["confirm"]));
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_have_no_room_are_an_error() {
    // A thousand stacks of two MiB.
    let output = behind(
        &Place::new(),
        "export RAYON_NUM_THREADS=1000 RUST_BACKTRACE=0; ulimit -v 400000",
        &["scan", "--questions", "2", "--dry-run"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: the threads that compute could not be started: Resource temporarily unavailable (os error 11)\n\
         hint: free memory, allow more processes, or ask for fewer threads: RAYON_NUM_THREADS=1 takes the fewest\n"
    );
}
