//! `cargo run --release --manifest-path fuzz/Cargo.toml -- TARGET SECONDS [SEED]`
//!
//! Takes the files of `fuzz/corpus/TARGET`, damages them, and feeds them to a parser until the time is over. Inputs that
//! lead to an outcome not seen before join the corpus of the run, which is what a coverage-guided fuzzer does with
//! branches. Three things are findings: a panic, an input that works longer than [`SLOWEST`], and more memory than
//! [`MOST_MEMORY`]. A finding's input is written to `fuzz/target/findings`. A run repeats with its seed.

mod mutate;
mod targets;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use mutate::Mutator;
use targets::{TARGETS, Target};

/// Time on a processor that one input may take; where the system does not tell, time.
const SLOWEST: Duration = Duration::from_secs(10);

/// Time that one input may take even where others keep the machine busy.
const LONGEST: Duration = Duration::from_secs(300);

/// Bytes that the process may ever have held, where the system tells.
const MOST_MEMORY: u64 = 1 << 30;

/// Most inputs that a run keeps beside its corpus.
const MOST_KEPT: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(run) = Run::from_arguments(&arguments) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("usage: fuzz TARGET SECONDS [SEED]\ntargets: {}", names.join(", "));
        return ExitCode::from(2);
    };
    match run.run() {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(finding) => {
            eprintln!("finding: {finding}");
            ExitCode::FAILURE
        }
    }
}

struct Run {
    target: &'static Target,
    time: Duration,
    seed: u64,
}

/// The input being tried, since when and since how much time on a processor, for the watchdog.
type Current = Arc<Mutex<Option<(Instant, Option<Duration>, Vec<u8>)>>>;

impl Run {
    fn from_arguments(arguments: &[String]) -> Option<Self> {
        let (name, seconds, seed) = match arguments {
            [name, seconds] => (name, seconds, 0),
            [name, seconds, seed] => (name, seconds, seed.parse().ok()?),
            _ => return None,
        };
        let target = TARGETS.iter().find(|target| target.name == name)?;
        Some(Self { target, time: Duration::from_secs(seconds.parse().ok()?), seed })
    }

    fn run(&self) -> Result<String, String> {
        let mut corpus = read_corpus(self.target.name)?;
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        let mutator = Mutator::new(self.target.words);
        let mut outcomes = HashSet::new();
        let current = self.start_watchdog();
        panic::set_hook(Box::new(|_| ()));
        let started = Instant::now();
        let planted = corpus.len();
        let mut tried = 0_u64;
        while started.elapsed() < self.time || (tried as usize) < planted {
            // First the corpus as it is.
            let input = match corpus.get(tried as usize) {
                Some(file) if (tried as usize) < planted => file.clone(),
                _ => self.damaged(&corpus, &mutator, &mut generator),
            };
            let outcome = self.try_input(&input, &current)?;
            tried += 1;
            if let Some(bytes) = peak_memory().filter(|bytes| *bytes > MOST_MEMORY) {
                return Err(format!("{bytes} bytes of memory on {}", save(self.target.name, &input).display()));
            }
            if outcomes.insert(fingerprint(&outcome)) && tried as usize > planted && corpus.len() < planted + MOST_KEPT
            {
                corpus.push(input);
            }
        }
        let megabytes = peak_memory().map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        Ok(format!(
            "{}: {tried} inputs, {} different outcomes, peak memory {megabytes}, no finding (seed {})",
            self.target.name,
            outcomes.len(),
            self.seed
        ))
    }

    fn damaged(&self, corpus: &[Vec<u8>], mutator: &Mutator, generator: &mut ChaCha8Rng) -> Vec<u8> {
        let mut input = corpus.choose(generator).cloned().unwrap_or_default();
        for _ in 0..generator.random_range(1..=6) {
            mutator.damage(&mut input, corpus, generator);
        }
        input
    }

    /// The outcome's class, or the finding.
    fn try_input(&self, input: &[u8], current: &Current) -> Result<String, String> {
        *current.lock().map_err(|error| error.to_string())? = Some((Instant::now(), processor_time(), input.to_vec()));
        let result = panic::catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)));
        *current.lock().map_err(|error| error.to_string())? = None;
        match result {
            Ok(outcome) => Ok(class_of(&outcome)),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default();
                Err(format!("panic \"{message}\" on {}", save(self.target.name, input).display()))
            }
        }
    }

    /// A thread that ends the process when an input takes too long: a parser cannot be interrupted.
    fn start_watchdog(&self) -> Current {
        let current: Current = Arc::default();
        let watched = Arc::clone(&current);
        let name = self.target.name;
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(500));
                let Ok(guard) = watched.lock() else { return };
                let Some((since, worked, input)) = guard.as_ref() else { continue };
                let took =
                    processor_time().zip(*worked).map_or(since.elapsed(), |(now, then)| now.saturating_sub(then));
                if took > SLOWEST || since.elapsed() > LONGEST {
                    eprintln!("finding: more than {took:?} on {}", save(name, input).display());
                    std::process::exit(1);
                }
            }
        });
        current
    }
}

/// Outcomes are of one class when they differ only in numbers and quoted text.
fn class_of(outcome: &str) -> String {
    let mut class = String::new();
    let mut quoted = false;
    for letter in outcome.chars().take(400) {
        match letter {
            '"' | '`' => quoted = !quoted,
            _ if quoted || letter.is_ascii_digit() => {}
            _ => class.push(letter),
        }
    }
    class
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read_corpus(target: &str) -> Result<Vec<Vec<u8>>, String> {
    let folder = fuzz_folder().join("corpus").join(target);
    let describe = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(describe)? {
        paths.push(entry.map_err(describe)?.path());
    }
    // A folder's order differs between machines; a run must repeat.
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).map_err(describe)).collect()
}

/// Writes a finding's input and returns where; a folder that cannot be written must not hide the finding.
fn save(target: &str, input: &[u8]) -> PathBuf {
    let folder = fuzz_folder().join("target").join("findings");
    let path = folder.join(format!("{target}-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input)) {
        eprintln!("{}: {error}; the input is {input:?}", path.display());
    }
    path
}

/// What is kept of an outcome: millions of texts would be counted as the parser's memory.
fn fingerprint(outcome: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    outcome.hash(&mut hasher);
    hasher.finish()
}

/// Time that this process has spent on processors, all threads together; known on Linux, whose ticks are hundredths of a
/// second.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: state, then numbers, of which these are the time of the process itself and
    // of the system for it (proc(5), fields 14 and 15).
    let (_, fields) = statistics.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// The most memory that this process ever held; known on Linux.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
