//! Files of questions: documented values on the published files where they are at hand, readers and refusals on small
//! files of our own.

mod examples;
mod own;
mod published;
mod refusals;
mod robust;
mod rys;
mod support;
mod versions;
