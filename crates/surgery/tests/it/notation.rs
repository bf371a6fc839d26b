//! Text forms: read back they are the path; what they cannot say is refused.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use neuro_path::LayerPath;
use neuro_surgery::SurgeryError;
use neuro_surgery::hf::ConfigFile;
use neuro_surgery::notation::{SidecarModel, exllamav3, mergekit, peft, sidecar};

use crate::common::{checkpoint, fixture};

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text, 4).unwrap()
}

fn mergekit_of(name: &str, text: &str) -> Result<String, SurgeryError> {
    mergekit(&path(text), &checkpoint(name).config, &ConfigFile::read(&fixture(name)).unwrap(), "org/base")
}

fn peft_of(name: &str, text: &str) -> Result<String, SurgeryError> {
    peft(&path(text), &checkpoint(name).config, Some(&ConfigFile::read(&fixture(name)).unwrap()))
}

#[test]
fn every_form_is_read_back_as_the_same_path() {
    let llama = checkpoint("llama-default").config.clone();
    for text in ["(1,3)", "0,2,1,3,3", "0..3", "3", "0..1x3,3"] {
        let path = path(text);
        for written in [
            exllamav3(&path, &llama).unwrap(),
            peft(&path, &llama, None).unwrap(),
            mergekit_of("llama-default", text).unwrap(),
        ] {
            assert_eq!(LayerPath::parse(&written, 4).unwrap(), path, "{written}");
        }
    }
    let damped = path("0..2,1..2{attn=0.5,mlp=-0.25},3{mlp=0}");
    let written = mergekit_of("llama-default", &damped.to_string()).unwrap();
    assert_eq!(LayerPath::parse(&written, 4).unwrap(), damped, "{written}");
}

#[test]
fn forms_look_like_this() {
    let model = SidecarModel { id: "org/base".to_owned(), hash: "abc".to_owned(), model_type: "llama".to_owned() };
    let llama = checkpoint("llama-default").config.clone();
    let all = format!(
        "{}\n\n{}\n\n{}\n\n{:#}",
        exllamav3(&path("(1,3)"), &llama).unwrap(),
        peft(&path("(1,3)"), &llama, None).unwrap(),
        mergekit_of("llama-default", "0..2,1..2{attn=0.5,mlp=0},3").unwrap(),
        sidecar(&path("(1,3)"), &model),
    );
    insta::with_settings!({ filters => vec![(r"neuro \d+\.\d+\.\d+", "neuro [version]")] }, {
        insta::assert_snapshot!(all);
    });
}

#[test]
fn what_a_form_cannot_say_is_refused() {
    let damped = path("0..3,3{attn=0.5}");
    let qwen = checkpoint("qwen2-default").config.clone();
    let messages = [
        exllamav3(&damped, &qwen).unwrap_err(),
        peft(&damped, &qwen, None).unwrap_err(),
        peft(&path("(1,3)"), &qwen, None).unwrap_err(),
        // The kind of a layer follows from its number, which mergekit changes.
        mergekit_of("qwen2-dynamic-below-window", "(1,3)").unwrap_err(),
        // A list that mergekit leaves as long as it was.
        mergekit_of("qwen2-llama3-layer-types", "(1,3)").unwrap_err(),
        // Tensors that mergekit does not know and leaves out.
        mergekit_of("llama-linear", "(1,3)").unwrap_err(),
        mergekit_of("deepseek_v2-lite", "0..3").unwrap_err(),
        mergekit_of("stablelm-qk-layernorm", "(1,3)").unwrap_err(),
        mergekit_of("gpt_oss-mxfp4", "(0,2)").unwrap_err(),
        // A decoder in a larger model.
        mergekit_of("mistral3-nested", "(1,3)").unwrap_err(),
        peft_of("mistral3-nested", "(1,3)").unwrap_err(),
        peft_of("gpt2-default", "(1,3)").unwrap_err(),
        // Layers that are stored once and run twice.
        exllamav3(&LayerPath::parse("0..2", 6).unwrap(), &checkpoint("ouro-two-rounds").config).unwrap_err(),
        peft(&LayerPath::parse("0..2", 6).unwrap(), &checkpoint("ouro-two-rounds").config, None).unwrap_err(),
    ];
    insta::assert_snapshot!(
        messages.map(|error| error.to_string()).join("\n\n").replace(&fixture("").display().to_string(), "fixtures/")
    );
    // Scales that mergekit would put on fewer tensors than a branch ends with, or before a norm.
    for (name, text) in [
        ("gemma2-default", "0..3,3{attn=0.5}"),
        ("gpt2-default", "0..3,3{mlp=0.5}"),
        ("qwen3_next-square", "0..3,2{attn=0.5}"),
    ] {
        let error = mergekit_of(name, text).unwrap_err().to_string();
        assert!(
            error.contains("norms behind") || error.contains("mergekit scales tensors by their names"),
            "{name}: {error}"
        );
    }
    mergekit_of("gpt_oss-yarn", "0..2,1..3{attn=0.5,mlp=0.25}").unwrap();
    // Layers that keep their kinds where they come to lie pass.
    mergekit_of("qwen2-dynamic-below-window", "(2,4)").unwrap();
    mergekit_of("qwen2-default", "(1,3)").unwrap();
}
