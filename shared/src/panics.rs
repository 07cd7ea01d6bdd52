//! A mistake of our own: a panic ends the work it is in, and nothing beside it.
//!
//! What the panic says, and where, the panic hook has written to the log before these return.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

/// The work panicked and has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Does the work at once.
///
/// # Errors
/// It panicked.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Waits for the work.
///
/// # Errors
/// It panicked.
pub fn contained_future<F: Future>(work: F) -> impl Future<Output = Result<F::Output, Panicked>> {
    // Boxed, and before the first wait, so that the layout of a process is not one type of all its
    // futures: those are deeper than the compiler follows by default.
    let work = AssertUnwindSafe(Box::pin(work)).catch_unwind();
    work.map(|done| done.map_err(|_| Panicked))
}

#[cfg(test)]
mod tests {
    //! A panic is told as a value, and the caller goes on.

    #![expect(clippy::panic, reason = "the tests are about panics")]

    use super::*;

    #[test]
    fn what_panics_at_once_is_told() {
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(contained(|| -> i32 { panic!("a mistake") }), Err(Panicked));
    }

    #[tokio::test]
    async fn what_panics_after_a_wait_is_told() {
        assert_eq!(contained_future(async { 7 }).await, Ok(7));
        let late = async {
            tokio::task::yield_now().await;
            panic!("a mistake")
        };
        assert_eq!(contained_future::<_>(late).await, Err::<(), _>(Panicked));
    }
}
