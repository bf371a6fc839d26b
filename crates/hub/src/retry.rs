//! What may pass is tried again, each time after twice the pause.

use std::time::Duration;

use crate::Result;
use crate::error::HubError;
use crate::find::Event;

/// Tries without any progress between them.
pub(crate) const TRIES: u32 = 5;
/// Longest pause; whoever wants to be left alone for longer is told to the user instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a try failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// For ever.
    Final(HubError),
    /// Perhaps not the next time.
    Passing {
        error: HubError,
        /// How long the other side wants to be left alone.
        wait: Option<Duration>,
    },
}

impl Failure {
    /// Whether it is an answer with this status.
    pub(crate) fn is_status(&self, wanted: u16) -> bool {
        let (Self::Final(error) | Self::Passing { error, .. }) = self;
        matches!(error, HubError::Status { status, .. } if *status == wanted)
    }

    /// Whether what arrived was another content than announced, and is thrown away.
    pub(crate) fn is_damage(&self) -> bool {
        let (Self::Final(error) | Self::Passing { error, .. }) = self;
        matches!(error, HubError::Damaged { .. })
    }

    /// What went wrong.
    pub(crate) fn into_error(self) -> HubError {
        let (Self::Final(error) | Self::Passing { error, .. }) = self;
        error
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

/// Counts tries.
#[derive(Debug)]
pub(crate) struct Tries {
    most: u32,
    failed: u32,
    pause: Duration,
}

impl Tries {
    pub(crate) fn new(most: u32, pause: Duration) -> Self {
        Self { most, failed: 0, pause }
    }

    /// Forgets failures, because something has arrived since.
    pub(crate) fn forgive(&mut self) {
        self.failed = 0;
    }

    /// Waits until the next try.
    ///
    /// # Errors
    ///
    /// With the failure, when there is no next try.
    pub(crate) fn pause(&mut self, failure: Failure, observe: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let (error, wait) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Passing { error, wait } => (error, wait),
        };
        self.failed += 1;
        let own = self.pause * 2_u32.pow(self.failed.min(10) - 1);
        let pause = own.min(LONGEST_PAUSE).max(wait.unwrap_or_default());
        if self.failed >= self.most || pause > LONGEST_PAUSE {
            return Err(error);
        }
        observe(Event::Retrying { problem: &error, pause });
        std::thread::sleep(pause);
        Ok(())
    }

    /// Tries until it works.
    ///
    /// # Errors
    ///
    /// With the last failure.
    pub(crate) fn run<T>(
        mut self,
        observe: &mut dyn FnMut(Event<'_>),
        mut attempt: impl FnMut() -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => self.pause(failure, observe)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(wait: Option<u64>) -> Failure {
        let error = HubError::Busy { host: "hub".into(), wait };
        Failure::Passing { error, wait: wait.map(Duration::from_secs) }
    }

    #[test]
    fn pauses_grow_and_tries_end() {
        let mut pauses = Vec::new();
        let mut observe = |event: Event<'_>| {
            if let Event::Retrying { pause, .. } = event {
                pauses.push(pause.as_micros());
            }
        };
        let mut count = 0;
        let result: Result<()> = Tries::new(4, Duration::from_micros(1)).run(&mut observe, || {
            count += 1;
            Err(busy(None))
        });
        assert!(matches!(result, Err(HubError::Busy { .. })));
        assert_eq!((count, pauses.as_slice()), (4, &[1, 2, 4][..]));
    }

    #[test]
    fn nobody_waits_for_minutes_or_for_what_is_final() {
        let once = |failure: Failure| {
            let mut failure = Some(failure);
            let mut observe = |_: Event<'_>| panic!("no second try");
            let tries = Tries::new(9, Duration::ZERO);
            tries.run(&mut observe, || Err::<(), _>(failure.take().expect("one try"))).expect_err("a failure")
        };
        assert!(matches!(once(busy(Some(3600))), HubError::Busy { wait: Some(3600), .. }));
        assert!(matches!(once(HubError::NoHome.into()), HubError::NoHome));
    }
}
