//! Every notation by example: what it means, and how it refuses what it does not mean.

use neuro_path::{Block, LayerPath, MAX_VISITS, Scale, Step, triangle};

fn layers(text: &str, depth: usize) -> Vec<usize> {
    LayerPath::parse(text, depth).unwrap_or_else(|error| panic!("{text}: {error}")).layers()
}

fn refusal(text: &str, depth: usize) -> String {
    match LayerPath::parse(text, depth) {
        Ok(path) => panic!("{text} was read as {path}"),
        Err(error) => error.to_string(),
    }
}

fn mergekit(rest: &str) -> String {
    format!("slices:\n{rest}\nmerge_method: passthrough\ndtype: bfloat16\n")
}

#[test]
fn every_notation_is_expanded() {
    let expected: Vec<usize> = (0..=15).chain(11..=31).collect();
    assert_eq!(layers("0..15,11..31", 32), expected);
    assert_eq!(layers("  0 .. 15 ,\n11 .. 31 ", 32), expected);
    assert_eq!(layers("..15,11..", 32), expected);
    assert_eq!(layers("(11,16)", 32), expected);
    assert_eq!(layers(" ( 11 , 16 ) ", 32), expected);
    assert_eq!(layers("blocks:11,16", 32), expected);
    assert_eq!(layers("[[0,16],[11,32]]", 32), expected);
    assert_eq!(layers(" [ [0, 16], [11, 32] ] ", 32), expected);
    let slices = mergekit(
        "  - sources:\n      - model: some/model\n        layer_range: [0, 16]\n  - sources:\n      - {model: some/model, layer_range: [11, 32]}",
    );
    assert_eq!(layers(&slices, 32), expected);

    assert_eq!(layers("..,4..", 6), [0, 1, 2, 3, 4, 5, 4, 5]);
    assert_eq!(layers("4..7x2", 8), [4, 5, 6, 7, 4, 5, 6, 7]);
    assert_eq!(layers("10 x 3", 12), [10, 10, 10]);
    assert_eq!(layers("0,2,1,3..5", 8), [0, 2, 1, 3, 4, 5]);
    assert_eq!(layers("0,1", 2), [0, 1]);
    assert_eq!(layers("layers:0, 1,2,2,3", 4), [0, 1, 2, 2, 3]);
    assert_eq!(layers("layers : [0, 1]", 4), [0, 1]);
    assert_eq!(layers("(0,0)", 3), [0, 1, 2]);
    assert_eq!(layers("(0,3)", 3), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_order_of_visits_is_kept() {
    assert_ne!(LayerPath::parse("3,4,3,4", 8), LayerPath::parse("3,3,4,4", 8));
    assert_eq!(layers("3..4x2", 8), [3, 4, 3, 4]);
    assert_eq!(layers("3x2,4x2", 8), [3, 3, 4, 4]);
    // Overlapping blocks do not commute.
    assert_eq!(layers("blocks:3,6;4,6", 8), [0, 1, 2, 3, 4, 5, 3, 4, 5, 4, 5, 6, 7]);
    assert_eq!(layers("(3,6);(4,6)", 8), layers("3,6;4,6", 8));
    assert_ne!(layers("blocks:3,6;4,6", 8), layers("blocks:4,6;3,6", 8));
    assert_eq!(layers("blocks:2,4;2,4", 5), [0, 1, 2, 3, 2, 3, 2, 3, 4]);
}

#[test]
fn scales_belong_to_their_item() {
    let path = LayerPath::parse("0..3,2..3x2{ attn = 0.50, mlp=0 },4{mlp=-1},5{attn=1}", 6).unwrap();
    assert_eq!(path.to_string(), "0..3,2..3{attn=0.5,mlp=0},2..3{attn=0.5,mlp=0},4{mlp=-1},5");
    let scaled = path.visits()[4];
    assert_eq!((scaled.layer, scaled.pass), (2, 1));
    assert_eq!(scaled.scales.mlp, Scale::ZERO);
    assert_eq!(path.visits()[6].pass, 2);
    assert!(path.visits()[9].scales.is_plain());
    assert!(!LayerPath::parse("0..1{attn=0}", 2).unwrap().is_baseline());

    let damped = mergekit(
        "  - sources:\n    - model: m\n      layer_range: [0, 4]\n  - sources:\n    - model: m\n      layer_range: [2, 4]\n      parameters:\n        scale:\n          - filter: o_proj\n            value: 0.5\n          - filter: down_proj\n            value: 0\n          - value: 1.0",
    );
    assert_eq!(LayerPath::parse(&damped, 4).unwrap().to_string(), "0..3,2..3{attn=0.5,mlp=0}");
}

#[test]
fn layers_that_do_not_exist_are_named() {
    let missing = "layer 12 does not exist: the model has 12 layers, 0 to 11";
    for text in ["12", "0..11,12", "layers:12", "12..", "12..13"] {
        assert_eq!(refusal(text, 12), missing, "{text}");
    }
    assert_eq!(refusal("0..12", 12), format!("{missing}; `a..b` includes b"));
    assert!(refusal("[[0,13]]", 12).starts_with(missing));
    assert_eq!(LayerPath::from_layers(&[1, 12], 12).unwrap_err().to_string(), missing);
    assert_eq!(refusal("1", 1), "layer 1 does not exist: the model has 1 layer, number 0");
    assert!(refusal("0", 0).contains("no layers"));
}

#[test]
fn impossible_blocks_say_why() {
    for (text, reason) in [
        ("(5,3)", "did you mean (3, 5)?"),
        ("(4,4)", "i must be below j"),
        ("(4,13)", "the model has 12 layers, so j is at most 12"),
        ("blocks:2,4;6,5", "the block (6, 5) is impossible"),
        ("(0,0);(2,4)", "(0, 0) stands for the baseline and only alone"),
    ] {
        assert!(refusal(text, 12).contains(reason), "{}", refusal(text, 12));
    }
    assert!(Block::new(0, 0, 0).is_err());
}

#[test]
fn refusals_say_what_to_write() {
    for (text, part) in [
        ("", "the layer path is empty"),
        (" \n", "the layer path is empty"),
        ("7..4", "the range `7..4` descends"),
        ("0..3,", "character 6: found the end, expected a layer such as `4`"),
        ("0..3 4", "character 6: found `4`, expected `,`"),
        ("0...3", "character 4: found `.3`"),
        ("-1", "character 1: found `-1`"),
        ("4x", "how many times"),
        ("4x0", "leave the item out"),
        ("ä", "character 1: found `ä`"),
        ("[0,1]", "`(i,j)` for a block, `layers:0,1` for layers"),
        ("[0,1,2]", "ambiguous"),
        ("[[4,4]]", "holds no layer"),
        ("[[5,4]]", "its end must be above its start"),
        ("[[0,4]", "found the end, expected `,` or `]`"),
        ("(1,2", "expected `)`"),
        ("(1;2)", "expected `,` and the block's end"),
        ("blocks 1,2", "expected `:`"),
        ("layers:0..3", "ranges belong to the layer map"),
        ("layers:", "found the end, expected a layer"),
        ("4{}", "the branch `` does not exist"),
        ("4{attn}", "expected `=`"),
        ("4{attn=1", "expected `,` or `}`"),
        ("4{gate=1}", "the branch `gate` does not exist"),
        ("4{mlp=1,mlp=1}", "the branch `mlp` is scaled twice"),
        ("4{mlp=1e3}", "the scale `1e3` is not a decimal number"),
        ("4{mlp=1}x2", "found `x2`"),
        ("99999999999999999999999999", "`99999999999999999999999999` is too large"),
    ] {
        let message = refusal(text, 8);
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains('\n'), "{text}: {message}");
    }
}

#[test]
fn lengths_are_checked_before_expanding() {
    assert!(refusal("0..9x999999999999", 12).contains("9999999999990 visits, but at most 65536"));
    assert!(refusal("0..9x18446744073709551615", 12).contains("visits"));
    assert_eq!(layers("0x65536", 1).len(), MAX_VISITS);
    assert!(refusal("0x65536,0", 1).contains("65537 visits"));
    assert!(LayerPath::baseline(MAX_VISITS).is_ok());
    assert!(LayerPath::baseline(MAX_VISITS + 1).is_err());
    assert!(LayerPath::baseline(usize::MAX).is_err());
    assert!(Block::new(0, 65_536, 65_536).unwrap().path(65_536).is_err());
    assert!(LayerPath::parse("(0,65536)", 65_536).is_err());
    let step = Step::layer(0);
    assert!(LayerPath::from_steps(vec![step; MAX_VISITS + 1], 1).is_err());
    assert!(LayerPath::from_steps(Vec::new(), 1).is_err());
}

#[test]
fn mergekit_refuses_what_no_path_expresses() {
    let source = |extra: &str| mergekit(&format!("  - sources:\n    - model: a\n      layer_range: [0, 4]\n{extra}"));
    for (text, part) in [
        (source("    - model: a\n      layer_range: [0, 4]\n"), "slice 0 has 2 sources"),
        (source("  - sources:\n    - model: b\n      layer_range: [0, 4]\n"), "from `b` and an earlier one from `a`"),
        (source("      parameters: {weight: 0.5}\n"), "weight"),
        (source("      parameters: {scale: [{filter: q_proj, value: 0.5}]}\n"), "filter `q_proj`"),
        (source("      parameters: {scale: [{value: 0.5}]}\n"), "filter `*`"),
        (source("").replace("passthrough", "slerp"), "merge_method is `slerp`"),
        (source("").replace("[0, 4]", "[0, 5]"), "layer 4 does not exist"),
        (source("").replace("[0, 4]", "[0, 18446744073709551615]"), "does not exist"),
        (source("").replace("[0, 4]", "[4, 0]"), "holds no layer"),
        (source("").replace("[0, 4]", "[-1, 4]"), "no layer path"),
        ("slices: []\nmerge_method: passthrough # layer_range".to_owned(), "empty"),
        ("layer_range: [".to_owned(), "no layer path"),
    ] {
        let message = refusal(&text, 4);
        assert!(message.contains(part), "{text}\n{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn paths_print_as_inclusive_maps() {
    for (text, depth, printed) in [
        ("(4,8)", 12, "0..7,4..11"),
        ("layers:0,1,2,3", 4, "0..3"),
        ("4..7x2", 8, "4..7,4..7"),
        ("0x3", 1, "0,0,0"),
        ("0,2,1,3..5", 8, "0,2,1,3..5"),
        ("0,1", 2, "0..1"),
        ("0{mlp=0},1", 2, "0{mlp=0},1"),
        ("0{mlp=0},1{mlp=0}", 2, "0..1{mlp=0}"),
    ] {
        assert_eq!(LayerPath::parse(text, depth).unwrap().to_string(), printed);
    }
}

#[test]
fn the_triangle_starts_with_the_baseline() {
    let blocks: Vec<String> = triangle(3).map(|block| block.to_string()).collect();
    assert_eq!(blocks, ["(0, 0)", "(0, 1)", "(0, 2)", "(0, 3)", "(1, 2)", "(1, 3)", "(2, 3)"]);
    for (depth, count) in [(12, 79), (24, 301), (64, 2_081), (80, 3_241)] {
        assert_eq!(triangle(depth).count(), count);
    }
}

#[test]
fn only_a_blocks_own_path_is_that_block() {
    for text in ["0,0..3", "0..3,1", "1..3", "0..2,1..2", "0..3,2..3{mlp=0}", "0..1,3,2", "3"] {
        let path = LayerPath::parse(text, 4).unwrap();
        let expected = (text == "0,0..3").then_some(Block { start: 0, end: 1 });
        assert_eq!(path.block(), expected, "{text}");
    }
    let path = LayerPath::parse("1..3", 4).unwrap();
    assert_eq!(path.extra_visits(), -1);
    assert_eq!((path.len(), path.depth(), path.is_empty()), (3, 4, false));
}
