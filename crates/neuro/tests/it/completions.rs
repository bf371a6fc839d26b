use crate::support::Place;

#[test]
fn every_shell_learns_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = place.output(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).expect("text");
        for command in ["scan", "probe", "show", "ask", "logits", "train", "doctor", "completions", "random-weights"] {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn an_unknown_shell_is_wrong_usage() {
    assert_eq!(Place::new().output(&["completions", "tcl"]).status.code(), Some(2));
}
