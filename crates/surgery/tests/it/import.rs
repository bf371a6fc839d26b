//! Maps and scans of other programs, and files that only look like them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::process::Command;

use neuro_path::LayerPath;
use neuro_record::RunData;
use neuro_surgery::SurgeryError;
use neuro_surgery::import::{Import, Scan, of_bytes, read, write_run};

fn import(text: &str, layers: Option<usize>) -> Result<Import, SurgeryError> {
    of_bytes(text.as_bytes(), Path::new("file.json"), layers)
}

fn map(text: &str, layers: Option<usize>) -> LayerPath {
    match import(text, layers).unwrap() {
        Import::Map(map) => map.path,
        Import::Scan(_) => panic!("a scan"),
    }
}

fn scan(text: &str) -> Scan {
    match import(text, None).unwrap() {
        Import::Scan(scan) => *scan,
        Import::Map(_) => panic!("a map"),
    }
}

#[test]
fn maps_of_every_kind_become_the_same_path() {
    let expected = LayerPath::parse("(1,3)", 4).unwrap();
    for text in [
        r#"{"num_hidden_layers":6,"rys_relayer":{"source_num_layers":4,"target_num_layers":6,"layer_indices":[0,1,2,1,2,3]}}"#,
        r#"{"kind":"layer-path","schema":1,"model":{"layers":4,"id":"a"},"path":"0..2,1..3","layers":[0,1,2,1,2,3]}"#,
        "slices:\n- sources:\n  - model: a\n    layer_range: [0, 3]\n- sources:\n  - model: a\n    layer_range: [1, 4]\nmerge_method: passthrough\n",
        "0..2,1..3\n",
        "[[0,3],[1,4]]",
    ] {
        assert_eq!(map(text, None), expected, "{text}");
        assert_eq!(map(text, Some(4)), expected, "{text}");
    }
    assert_eq!(map("(1,3)", Some(4)), expected);
    let damped =
        map(r#"{"rys_relayer":{"source_num_layers":2,"layer_indices":[0,1,1],"layer_path":"0..1,1{attn=0.5}"}}"#, None);
    assert_eq!(damped, LayerPath::parse("0..1,1{attn=0.5}", 2).unwrap());
}

const LLMRI: &str = r#"{"llmri_version":"1.0.0","scan_metadata":{"model_name":"org/m","model_type":"llama","num_layers":3,
    "total_params_base":"3.21B","device":"mps","scan_end_utc":"2026-03-31T01:39:58Z","eq_dataset":"/Users/x/eq_16.json",
    "eq_dataset_size":16,"math_dataset_size":8},
    "results":[{"config":[0,0],"eq_score":0.5,"math_score":0.25,"combined_score":0.375,"layer_path":[0,1,2]},
    {"config":[1,2],"eq_score":0.75,"math_score":null,"combined_score":0.5,"layer_path":[0,1,1,2]}]}"#;

#[test]
fn a_scan_becomes_a_run() {
    let scan = scan(LLMRI);
    assert_eq!(scan.info.model.parameters, 3_210_000_000);
    assert!(!serde_json::to_string(&scan.info).unwrap().contains("/Users"));
    let questions: Vec<_> = scan.info.probes.iter().map(|probe| (probe.name.as_str(), probe.questions)).collect();
    assert_eq!(questions, [("combined", 24), ("eq", 16), ("math", 8)]);
    assert_eq!(scan.rows.len(), 5);
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    write_run(&scan, &out).unwrap();
    let data = RunData::read(&out).unwrap();
    assert_eq!(data.rows, scan.rows);
    assert!(data.rows[0].notes[0].contains("not to be believed"));
    // A second import into the same folder changes nothing.
    assert!(write_run(&scan, &out).is_err());
    assert_eq!(RunData::read(&out).unwrap(), data);
}

#[test]
fn a_converted_scan_becomes_a_run() {
    let scan = scan(
        r#"{"kind":"scan","tool":"RYS","model":"m","layers":3,"probes":{"rys-math":{"questions":16}},
        "results":[{"config":[0,0],"scores":{"rys-math":0.5}},{"layers":[0,2,1],"scores":{"rys-math":0.25}}]}"#,
    );
    assert_eq!(scan.rows.len(), 2);
    assert_eq!(scan.rows[1].path, "0,2,1");
}

/// Made by the converter of pickles that RYS's own queue wrote, with scores by its own functions: three math and two EQ
/// questions on a model of three layers.
#[test]
fn a_scan_of_rys_keeps_its_answers() {
    let scan = scan(include_str!("data/rys.json"));
    let paths: Vec<_> = scan.rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["0..2", "0..2", "0,0..2", "0,0..2", "0..2,1..2", "0..2,1..2", "0,2,1..2", "0,2,1..2"]);
    let unread: Vec<_> = scan.rows.iter().map(|row| (row.probe.as_str(), row.parse_failures)).collect();
    assert_eq!(unread[..4], [("math", 1), ("eq", 0), ("math", 0), ("eq", 1)]);
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    write_run(&scan, &out).unwrap();
    let data = RunData::read(&out).unwrap();
    assert_eq!((data.rows.len(), data.samples_of("math").count(), data.samples_of("eq").count()), (8, 12, 8));
    assert_eq!(data.rows, scan.rows);
    assert_eq!(data.rows[0].notes, ["measured by another program"]);
}

#[test]
fn answers_that_lie_are_refused() {
    let of = |answers: &str| {
        let text = format!(
            r#"{{"kind":"scan","layers":2,"probes":{{"m":{{"questions":2}}}},
            "results":[{{"config":[0,0],"scores":{{"m":0.5}},"answers":{{"m":{answers}}}}}]}}"#
        );
        import(&text, None).map(drop).map_err(|error| error.to_string())
    };
    of(r#"[["a",1,false],["b",0,true]]"#).unwrap();
    for (answers, words) in [
        ("7", "no list"),
        (r#"[["a",1]]"#, "is not [question, score"),
        (r#"[["a",2,false]]"#, "is not [question, score"),
        (r#"[["",1,false]]"#, "is not [question, score"),
        (r#"[["a",1,"no"]]"#, "is not [question, score"),
        (r#"[["a",1,false],["a",0,false]]"#, "two samples"),
        (r#"[["a",1,false],["b",1,false]]"#, "the mean of its answers is 1"),
    ] {
        let error = of(answers).unwrap_err();
        assert!(error.contains(words), "{answers}: {error}");
    }
}

#[test]
fn files_that_lie_are_refused() {
    let scan = |from: &str, to: &str| LLMRI.replace(from, to);
    for (text, words) in [
        (String::new(), "is empty"),
        ("{".to_owned(), "is no JSON"),
        ("{}".to_owned(), "of no kind that is known"),
        (r#"{"kind":"scan"}"#.to_owned(), "`probes`"),
        (r#"{"kind":"layer-path"}"#.to_owned(), "`model.layers`"),
        (r#"{"kind":"layer-path","model":{"layers":1e99},"path":"0"}"#.to_owned(), "`model.layers`"),
        (r#"{"kind":"layer-path","model":{"layers":4},"path":"0..3","layers":[0,1]}"#.to_owned(), "different paths"),
        (r#"{"rys_relayer":7}"#.to_owned(), "no object"),
        (r#"{"rys_relayer":{"layer_indices":[0,-1],"source_num_layers":2}}"#.to_owned(), "no list of layers"),
        (r#"{"rys_relayer":{"layer_indices":[0,9],"source_num_layers":2}}"#.to_owned(), "layer 9 does not exist"),
        (r#"{"rys_relayer":{"layer_indices":[0,1]}}"#.to_owned(), "--layers"),
        (
            r#"{"rys_relayer":{"layer_indices":[0,1],"source_num_layers":2,"target_num_layers":3}}"#.to_owned(),
            "`target_num_layers`",
        ),
        (
            r#"{"rys_relayer":{"layer_indices":[0,1],"source_num_layers":2,"layer_path":"0,0"}}"#.to_owned(),
            "different paths",
        ),
        (
            format!(r#"{{"rys_relayer":{{"layer_indices":[{}0],"source_num_layers":2}}}}"#, "0,".repeat(70_000)),
            "no list of layers",
        ),
        ("0..".to_owned(), "open"),
        ("layer_range: [0, 99999999999]".to_owned(), "mergekit"),
        ("not a path".to_owned(), "layer map"),
        (scan("\"num_layers\":3", "\"num_layers\":3000000000"), "number of layers"),
        (scan("\"num_layers\":3", "\"num_layers\":-3"), "number of layers"),
        (scan("[1,2]", "[2,1]"), "block"),
        (scan("[1,2]", "[1,2,3]"), "no block [i, j]"),
        (scan("[1,2]", "[1,99]"), "block"),
        (scan("[0,1,1,2]", "[0,1,2]"), "but `layer_path` is"),
        (scan("[0,1,1,2]", "\"x\""), "no list of layers"),
        (scan("\"config\":[1,2],", ""), "one that"),
        (scan("\"eq_score\":0.75", "\"eq_score\":75"), "no score in [0, 1]"),
        (scan("\"eq_score\":0.75", "\"eq_score\":\"1\""), "no score in [0, 1]"),
        (scan("\"eq_dataset_size\":16,", ""), "how many questions `eq`"),
        (scan("\"eq_dataset_size\":16", "\"eq_dataset_size\":0"), "how many questions `eq`"),
        (scan("\"results\"", "\"no\""), "`results`"),
    ] {
        let shown: String = text.chars().take(120).collect();
        match import(&text, None) {
            // A result may name its layers alone.
            Ok(_) => assert_eq!(words, "one that", "{shown}"),
            Err(error) => assert!(error.to_string().contains(words), "{shown}: {error}"),
        }
    }
    let pickle = of_bytes(b"\x80\x04\x95", Path::new("math.json"), None).unwrap_err().to_string();
    assert!(pickle.contains("can run code"), "{pickle}");
    assert!(of_bytes(b"cos\nsystem\n", Path::new("results.pkl"), None).is_err());
    assert!(of_bytes(&[0xff, 0xfe, 0], Path::new("x"), None).unwrap_err().to_string().contains("no text"));
}

#[test]
fn published_scans_are_read_whole() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/scans");
    for (name, layers, rows) in
        [("llama3-2-Instruct-3B", 28, 407), ("llama3-1_8B_instruct", 32, 529), ("Qwen2-5-Instruct-3B", 36, 667)]
    {
        let file = place.join(format!("{name}.json"));
        if !file.exists() {
            println!("skipped: {} is not there", file.display());
            return;
        }
        let Import::Scan(scan) = read(&file, None).unwrap() else { panic!("a scan") };
        assert_eq!((scan.info.model.layers, scan.rows.len()), (layers, 3 * rows), "{name}");
    }
}

/// The converter runs in Python, outside of this process; it needs nothing that Python does not bring.
#[test]
fn pickles_are_converted_outside_of_this_process() {
    let run = |arguments: &[&str]| Command::new("python3").args(arguments).output();
    if !run(&["--version"]).is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no python3");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name).display().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/rys_pickle.py").display().to_string();
    let (math, eq, attack, harm) = (file("math.pkl"), file("eq.pkl"), file("attack.pkl"), file("harm"));
    // As RYS's queue writes them: all layers of a path, and blocks in older files, with percent.
    let write = r"
import pickle, sys
answers = [{'qid': 'a', 'score': 1.0, 'extracted': '4'}, {'qid': 'b', 'score': 0.0, 'extracted': ''}]
pickle.dump({(0, 1, 2): {'score': 0.5, 'responses': answers}, (0, 1, 1, 2): {'score': 0.5, 'responses': answers}}, open(sys.argv[1], 'wb'))
pickle.dump({(0, 0): 75.0, (1, 2): 50.0}, open(sys.argv[2], 'wb'))
class Attack:
    def __reduce__(self):
        return open, (sys.argv[4], 'w')
pickle.dump({(0, 0): Attack()}, open(sys.argv[3], 'wb'))
";
    let written = run(&["-c", write, &math, &eq, &attack, &harm]).unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));

    let (of_math, of_eq) = (format!("math={math}"), format!("eq={eq},16,100"));
    let converted = run(&[&script, "--layers", "3", "--model", "org/m", &of_math, &of_eq]).unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    let Import::Scan(scan) = of_bytes(&converted.stdout, Path::new("scan.json"), None).unwrap() else {
        panic!("a scan")
    };
    let rows: Vec<_> = scan.rows.iter().map(|row| (row.path.as_str(), row.probe.as_str(), row.score, row.n)).collect();
    let expected = [
        ("0..2", "math", 0.5, 2),
        ("0..2", "eq", 0.75, 16),
        ("0..1,1..2", "math", 0.5, 2),
        ("0..1,1..2", "eq", 0.5, 16),
    ];
    assert_eq!(rows, expected);
    assert_eq!((scan.samples.len(), scan.rows[0].parse_failures), (4, 1));

    // What would run code, and what does not say how much was asked.
    for arguments in [format!("math={attack},16"), format!("eq={eq}")] {
        let refused = run(&[&script, "--layers", "3", &arguments]).unwrap();
        assert!(!refused.status.success(), "{arguments}");
        println!("{}", String::from_utf8_lossy(&refused.stderr).lines().last().unwrap());
    }
    assert!(!Path::new(&harm).exists());
}
