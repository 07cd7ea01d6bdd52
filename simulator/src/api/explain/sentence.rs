//! Several mistakes in one sentence.

/// Between two mistakes that have nothing to do with each other.
pub(super) const BESIDES: &str = "; besides, ";

/// The mistakes that there are, in one sentence.
pub(super) fn named(faults: [&str; 2], between: &str) -> String {
    let faults: Vec<&str> = faults
        .into_iter()
        .filter(|fault| !fault.is_empty())
        .collect();
    faults.join(between)
}
