//! A lock that a panic elsewhere does not poison.

use std::sync::{Mutex, PoisonError};

/// Takes the lock.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement, also where a thread died.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
