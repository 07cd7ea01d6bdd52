//! login.
