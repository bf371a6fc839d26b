//! The binary from the outside: whole outputs and exit codes, one file per command.

mod ask;
mod compare;
mod completions;
mod confirm;
mod disk;
mod doctor;
mod export;
mod gguf;
mod grade;
mod help;
mod hub;
mod logits;
mod probe;
mod scan;
mod show;
mod support;
mod train;
mod usage;
