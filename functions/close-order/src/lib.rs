//! close-order.
