//! `neuro completions`: its arguments, and the examples that its help ends with.

use clap::Args;
use clap_complete::Shell;

/// Arguments of `neuro completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro completions bash > ~/.local/share/bash-completion/completions/neuro
  neuro completions zsh > ~/.zfunc/_neuro
  neuro completions fish > ~/.config/fish/completions/neuro.fish";
