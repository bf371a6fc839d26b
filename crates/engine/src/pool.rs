use neuro_model::Device;

/// Values of rows times width from which a layer's products are shared among threads.
const SHARED_FROM: usize = 1 << 19;

/// Does work that is full of small parts for several threads on one of these threads: a part then wakes the others only, and
/// nobody waits asleep for it to end. `rows` and `width` say how large it is: what one thread does alone stays where it is,
/// as does what computes elsewhere.
///
/// The work must hold no lock while it waits for others: its thread may meanwhile take up other work that wants it.
pub(crate) fn on_pool<R: Send>(device: &Device, (rows, width): (usize, usize), work: impl FnOnce() -> R + Send) -> R {
    match device.is_cpu() && rows.saturating_mul(width).saturating_mul(width) >= SHARED_FROM {
        true => rayon::scope(|_| work()),
        false => work(),
    }
}
