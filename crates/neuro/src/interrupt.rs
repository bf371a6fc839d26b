//! Ctrl-C: the first ends the command after the unit that it is working on, the second at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Whether Ctrl-C was pressed.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches Ctrl-C from now on. Only for commands that look at it between units; all others are ended by the system.
    ///
    /// # Errors
    /// When the system does not let the program watch.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&pressed);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                exit_now();
            }
        })
        .context("Ctrl-C cannot be watched")?;
        Ok(Self { pressed })
    }

    /// The flag that is set from the first Ctrl-C on.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.pressed
    }

    /// Whether the command should end.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::SeqCst)
    }
}

#[expect(clippy::exit, reason = "the user insists; every file is written so that the same command resumes")]
fn exit_now() {
    std::process::exit(130);
}
