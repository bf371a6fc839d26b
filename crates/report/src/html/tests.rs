use neuro_record::{ModelInfo, Plan, PlannedPaths, Planted, ProbeInfo};

use super::*;
use crate::testing::{map_of, six_layers};

const HOSTILE: &str = "</script><script>alert(1)</script><!-- \"'&";

fn data(model: &str, layers: usize) -> RunData {
    let row = Row {
        schema: 1,
        path: "0..3,1..5".to_owned(),
        layers: vec![0, 1, 2, 3, 1, 2, 3, 4, 5],
        block: Some([1, 4]),
        probe: "math".to_owned(),
        score: 0.95,
        n: 40,
        screened: None,
        parse_failures: 7,
        truncated: 2,
        loops: 1,
        groups: BTreeMap::new(),
        seconds: Some(1.0),
        seconds_kind: Some("share".to_owned()),
        notes: vec![HOSTILE.to_owned()],
        random_weights: Some(7),
    };
    let info = neuro_record::RunInfo {
        schema: 1,
        tool: "neuro 0.1.0".to_owned(),
        created: "2026-11-22T06:00:00Z".to_owned(),
        model: ModelInfo {
            id: model.to_owned(),
            hash: "abc".to_owned(),
            model_type: "llama".to_owned(),
            layers,
            parameters: 1_234_567,
            dtype: "F32".to_owned(),
            random_weights: Some(7),
        },
        tokenizer_hash: None,
        template_hash: Some("def".to_owned()),
        compute: "f32".to_owned(),
        device: "cpu".to_owned(),
        probes: vec![ProbeInfo {
            name: "math".to_owned(),
            id: "math@1".to_owned(),
            hash: "123".to_owned(),
            questions: 40,
        }],
        seed: 3,
        settings: BTreeMap::from([(HOSTILE.to_owned(), serde_json::json!(HOSTILE))]),
        plan: Plan {
            paths: PlannedPaths::Triangle,
            chunks: vec![vec![[0, 40]]],
            groups: Vec::new(),
            memory_bytes: 1024,
            held_bytes: 0,
            reference_needs: BTreeMap::new(),
        },
        screen: None,
        phantom: Some(Planted { block: [1, 5], group: "k2".to_owned() }),
    };
    RunData { info, rows: vec![row], samples: Vec::new(), reference: Vec::new() }
}

fn embedded(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("has data");
    let (json, _) = rest.split_once("</script>").expect("ends");
    serde_json::from_str(json).expect("is JSON")
}

#[test]
fn foreign_strings_stay_strings() {
    let mut map = six_layers();
    map.group = Some(HOSTILE.to_owned());
    let page = html_report(&data(HOSTILE, 6), &[map]);
    assert_eq!(page.matches("<script").count(), 2, "the data and the program");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<!--"));
    assert_eq!(embedded(&page)["info"]["model"]["id"], HOSTILE);
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = html_report(&data("tiny", 6), &[six_layers()]);
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "src=", "href=", "@import", "url(//"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

/// A page is shown to strangers.
#[test]
fn where_the_model_lay_stays_on_its_machine() {
    let mut run = data("tiny", 6);
    run.info.settings.insert(neuro_record::SOURCE.to_owned(), serde_json::json!("/home/me/secret"));
    assert!(!html_report(&run, &[six_layers()]).contains("/home/me/secret"));
}

#[test]
fn the_data_holds_every_block_and_the_rows_counts() {
    let page = html_report(&data("tiny", 6), &[six_layers()]);
    let json = embedded(&page);
    let place = 1 + 6 + 2; // (1, 4) follows the baseline, six blocks from layer 0, (1, 2) and (1, 3).
    assert_eq!(json["blocks"][place], serde_json::json!([1, 4, "0..3,1..5"]));
    assert_eq!(json["maps"][0]["cells"][place][1], 0.75);
    assert_eq!(json["rows"]["math"][place], serde_json::json!([40, 7, 2, 1, [HOSTILE]]));
    assert_eq!(json["maps"][0]["cells"].as_array().map(Vec::len), Some(22));
    let unmeasured = 1 + 6 + 5 + 3; // (2, 6)
    assert!(json["maps"][0]["cells"][unmeasured].is_null(), "missing stays missing");
    assert!(page.contains("<td data-value=\"7\">7</td>"), "parse failures in the table");
    assert!(page.contains("The weights are random (seed 7)"));
}

#[test]
fn a_planted_block_is_judged_on_its_own_group_only() {
    let mut map = six_layers();
    assert!(!html_report(&data("phantom", 6), &[map.clone()]).contains("shares"));
    map.group = Some("k2".to_owned());
    let page = html_report(&data("phantom", 6), &[map]);
    assert!(page.contains("block (1, 5). Found: the best block (1, 4) shares 3 layers."));
}

#[test]
fn chance_has_its_own_picture_below_the_map() {
    let mut map = six_layers();
    assert!(!html_report(&data("tiny", 6), &[map.clone()]).contains("What chance alone draws"));
    let adjusted = vec![Some(0.001); map.cells.len()];
    let cells = map.cells.clone();
    map.chance = Some(neuro_stats::Chance { cells, blocks: 20, expected_best: 0.08, rarely_exceeded: 0.12, adjusted });
    let page = html_report(&data("tiny", 6), &[map]);
    assert_eq!(page.matches("<svg").count(), 2);
    let (own, null) = (page.find("id=\"hatch-0\""), page.find("id=\"hatch-null-0\""));
    assert!(own.is_some() && own < null && page.contains("What chance alone draws"));
    assert!(page.contains("the best of 20 would still show +0.080 on average"));
    assert!(page.contains("<code>neuro confirm RUN</code>"));
}

#[test]
fn deep_models_make_small_pages_and_no_map_makes_one_too() {
    let map = map_of(80, |block| Some(0.001 * block.start as f64 - 0.0003 * block.end as f64));
    let page = html_report(&data("deep", 80), &[map.clone(), map]);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    assert!(html_report(&data("empty", 80), &[]).contains("no map of blocks"));
}
