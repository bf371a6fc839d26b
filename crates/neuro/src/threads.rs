//! The tensor library's second thread pool, kept out of the way of f32 work.

/// The variable by which the tensor library sizes that pool.
const POOL: &str = "CANDLE_NUM_THREADS";

/// Leaves elementwise operations to one thread, unless the user has said otherwise. Matrix products have a pool of their
/// own and keep every core.
///
/// The threads of the elementwise pool wait for each other by spinning. On small tensors, or as soon as another process
/// wants a core, that costs more than it gives: a training step took five times as long with two threads as with one,
/// and a scan twice the processor time (docs/log.md, 2026-11-22). Quantised products need the pool; `doctor` measures
/// them and leaves it as it is.
pub(crate) fn leave_elementwise_work_to_one() {
    if std::env::var_os(POOL).is_some() {
        return;
    }
    // SAFETY: `set_var` is unsound when another thread reads or writes the environment at the same time. This is called
    // at the start of `main`, before this program has started any thread: arguments are parsed, nothing else has run.
    #[expect(unsafe_code, reason = "the variable is the library's only switch, and no other thread exists yet")]
    unsafe {
        std::env::set_var(POOL, "1");
    }
}

/// Threads that matrix products use: as many as the machine runs at once, or `RAYON_NUM_THREADS`.
pub(crate) fn count() -> usize {
    candle_core::utils::get_num_threads()
}
