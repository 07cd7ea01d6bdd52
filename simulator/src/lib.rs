//! WeChat Pay in a box.
