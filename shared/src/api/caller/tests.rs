//! How an `Authorization` header is read.

use super::bearer;

#[test]
fn the_scheme_is_read_in_any_case() {
    for value in [
        "Bearer abc",
        "bearer abc",
        "BEARER abc",
        "bEaReR abc",
        "Bearer   abc",
    ] {
        assert_eq!(bearer(value), Some("abc"), "{value:?}");
    }
    // The credential is left as it is.
    assert_eq!(bearer("bearer AbC.d="), Some("AbC.d="));
    assert_eq!(bearer("bearer bearer abc"), Some("bearer abc"));
    for value in [
        "",
        "Bearer",
        "Bearerabc",
        "Bearer\tabc",
        " Bearer abc",
        "Basic abc",
        "Bearers abc",
        "abc",
        "Ｂearer abc",
    ] {
        assert_eq!(bearer(value), None, "{value:?}");
    }
}
