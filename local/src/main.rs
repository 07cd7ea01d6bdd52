//! \`wxpay\`.
fn main() {}
