//! The catalogue of attacks: each with a number that does not change, and what plays it.
//!
//! `N` is the webhook, `A-C` placing an order, `A-Q` looking, `A-R` refunds, `A-T` credentials, `A-W` a hostile
//! or broken WeChat Pay. A case of a number that is not listed here, and a number without a case, fail a test.

/// What plays an attack.
pub(super) enum Played {
    /// Cases of the webhook's tables (`notices/catalogue.rs`), each at both doors, and these tests besides.
    Cases(&'static [&'static str]),
    /// These tests: `module::name` in the integration tests, `shared::module::name` in the shared crate.
    Tests(&'static [&'static str]),
    /// API Gateway decides it before any function; these tests play it against the local gateway.
    Gateway(&'static [&'static str]),
    /// Nothing, and why.
    Nothing(&'static str),
}

use Played::{Cases, Gateway, Nothing, Tests};

/// The number, the attack, and what plays it.
pub(super) type Row = (&'static str, &'static str, Played);

pub(super) const CATALOGUE: &[Row] = &[
    // The webhook: headers and transport.
    ("N-01", "no signature", Cases(&[])),
    ("N-02", "no timestamp", Cases(&[])),
    ("N-03", "no nonce", Cases(&[])),
    ("N-04", "no serial", Cases(&[])),
    ("N-05", "a header that is empty or blank", Cases(&[])),
    (
        "N-06",
        "names of headers in any case",
        Cases(&["attacks::names_of_headers_are_read_in_any_case"]),
    ),
    ("N-07", "a good and a bad signature", Cases(&[])),
    ("N-08", "an event of a REST API", Cases(&[])),
    ("N-09", "two timestamps, nonces or serials", Cases(&[])),
    ("N-10", "a header twice with one value", Cases(&[])),
    ("N-11", "signed 301 seconds ago", Cases(&[])),
    (
        "N-12",
        "signed 300 seconds ago",
        Cases(&[
            "shared::wechatpay::tests::signatures::the_window_ends_just_before_five_minutes_either_way",
        ]),
    ),
    ("N-13", "signed in the future", Cases(&[])),
    ("N-14", "a timestamp beyond every range", Cases(&[])),
    ("N-15", "a timestamp in milliseconds", Cases(&[])),
    ("N-16", "a timestamp in other digits", Cases(&[])),
    (
        "N-17",
        "a nonce too long, not ASCII, or with control characters",
        Cases(&["attacks::what_is_no_http_is_refused_by_the_gateway"]),
    ),
    (
        "N-18",
        "the boundary between nonce and body moved",
        Cases(&["shared::wechatpay::tests::laws::what_is_signed_tells_nonce_and_body_apart"]),
    ),
    ("N-19", "an unknown serial", Cases(&[])),
    (
        "N-20",
        "signed by the merchant under its own serial",
        Cases(&[]),
    ),
    (
        "N-21",
        "signed by a certificate that has expired",
        Tests(&[
            "attacks::a_notice_of_an_expired_certificate_is_refused",
            "shared::wechatpay::tests::keys::platform_certificates_are_keys_for_as_long_as_they_are_valid",
        ]),
    ),
    (
        "N-22",
        "the serial of one key, the signature of another",
        Cases(&[
            "shared::wechatpay::tests::signatures::only_the_key_that_the_serial_names_is_tried",
        ]),
    ),
    ("N-23", "a serial that is nearly one", Cases(&[])),
    ("N-24", "another kind of signature asked for", Cases(&[])),
    (
        "N-25",
        "another method, or one said by a header",
        Gateway(&[
            "notices::only_the_webhooks_own_address_and_method_reach_it",
            "notices::what_is_odd_about_a_genuine_notice_does_not_lose_a_payment",
        ]),
    ),
    (
        "N-26",
        "nearly the path, or a query",
        Gateway(&["notices::only_the_webhooks_own_address_and_method_reach_it"]),
    ),
    ("N-27", "XML with an external entity", Cases(&[])),
    ("N-28", "any content type, or none", Cases(&[])),
    (
        "N-29",
        "a body that the gateway hands over in base64",
        Cases(&[]),
    ),
    ("N-30", "said to be base64 and is not", Cases(&[])),
    ("N-31", "base64 and not said to be", Cases(&[])),
    ("N-32", "no body", Cases(&[])),
    (
        "N-33",
        "a body too large",
        Cases(&["notices::only_the_webhooks_own_address_and_method_reach_it"]),
    ),
    ("N-34", "a packed body", Cases(&[])),
    (
        "N-35",
        "very large, very many or broken headers",
        Cases(&["attacks::what_is_no_http_is_refused_by_the_gateway"]),
    ),
    ("N-36", "the address of WeChat Pay's made up", Cases(&[])),
    (
        "N-37",
        "a body cut short or without end",
        Gateway(&["attacks::a_body_that_is_cut_short_reaches_no_function"]),
    ),
    (
        "N-38",
        "floods of connections",
        Nothing(
            "an HTTP API ends connections itself and takes no WAF; docs/operations.md, In front of the API",
        ),
    ),
    // The webhook: signatures.
    ("N-39", "random bytes for a signature", Cases(&[])),
    ("N-40", "a probe of WeChat Pay's", Cases(&[])),
    ("N-41", "a probe that looks like a signature", Cases(&[])),
    (
        "N-42",
        "the signature written in another base64",
        Cases(&[]),
    ),
    (
        "N-43",
        "a signature of another length or a number that is none",
        Cases(&[]),
    ),
    (
        "N-44",
        "a bit of the body flipped",
        Tests(&[
            "notices::nothing_without_a_signature_that_holds_reaches_the_table",
            "shared::wechatpay::tests::signatures::every_flipped_byte_of_the_body_breaks_the_signature",
        ]),
    ),
    ("N-45", "the same JSON in other bytes", Cases(&[])),
    ("N-46", "a byte more or less at an end", Cases(&[])),
    (
        "N-47",
        "signed over lines joined in another way",
        Cases(&[]),
    ),
    (
        "N-48",
        "another digest, padding or scheme",
        Cases(&[
            "shared::wechatpay::tests::signatures::no_other_way_of_writing_a_signature_is_accepted",
            "shared::wechatpay::tests::signatures::a_forged_answer_does_not_verify",
        ]),
    ),
    ("N-49", "another merchant's genuine notice", Cases(&[])),
    (
        "N-50",
        "an answer of WeChat Pay's, sent as a notice",
        Cases(&[]),
    ),
    (
        "N-51",
        "a refund's notice at the payments' address",
        Tests(&["notices::refunds::a_refunds_notice_is_believed_only_where_everything_fits"]),
    ),
    (
        "N-52",
        "the same a thousand times",
        Tests(&["notices::a_storm_of_one_notice_is_one_payment"]),
    ),
    ("N-53", "the same after its time", Cases(&[])),
    (
        "N-54",
        "the payment's notice after the refund",
        Tests(&["notices::refunds::a_refunds_notice_is_believed_only_where_everything_fits"]),
    ),
    // The webhook: envelopes.
    ("N-55", "no JSON", Cases(&[])),
    ("N-56", "JSON that is no object", Cases(&[])),
    ("N-57", "a member twice", Cases(&[])),
    (
        "N-58",
        "members of tomorrow, and very deep ones",
        Cases(&[]),
    ),
    ("N-59", "a megabyte of brackets", Cases(&[])),
    (
        "N-60",
        "an event's type missing or nearly right",
        Cases(&[]),
    ),
    ("N-61", "another product's event", Cases(&[])),
    ("N-62", "another type of resource", Cases(&[])),
    ("N-63", "another algorithm", Cases(&[])),
    ("N-64", "an id that would be another key", Cases(&[])),
    ("N-65", "a time of making that is none", Cases(&[])),
    ("N-66", "bytes that are no UTF-8", Cases(&[])),
    ("N-67", "odd characters", Cases(&[])),
    // The webhook: seals.
    ("N-68", "a nonce of another length", Cases(&[])),
    (
        "N-69",
        "a nonce of twelve characters in more bytes",
        Cases(&[]),
    ),
    (
        "N-70",
        "a damaged tag",
        Cases(&["shared::wechatpay::tests::keys::a_damaged_seal_does_not_open_and_nothing_panics"]),
    ),
    ("N-71", "a tag cut short", Cases(&[])),
    ("N-72", "a damaged ciphertext", Cases(&[])),
    ("N-73", "other associated data", Cases(&[])),
    ("N-74", "a ciphertext in another base64", Cases(&[])),
    (
        "N-75",
        "sealed with the key before",
        Tests(&["notices::notices_sealed_with_a_key_on_its_way_out_are_still_opened"]),
    ),
    (
        "N-76",
        "sealed with a key of zeros, or half a key",
        Cases(&[]),
    ),
    (
        "N-77",
        "the text of a seal that does not hold",
        Tests(&["shared::wechatpay::tests::keys::what_is_sealed_in_any_other_way_does_not_open"]),
    ),
    // The webhook: what a notice says.
    ("N-78", "another merchant", Cases(&[])),
    ("N-79", "another app", Cases(&[])),
    (
        "N-80",
        "no order of ours",
        Cases(&["notices::evidence_keeps_what_was_sealed_sealed"]),
    ),
    ("N-81", "an order of another stack", Cases(&[])),
    ("N-82", "another amount, or none", Cases(&[])),
    ("N-83", "another currency", Cases(&[])),
    ("N-84", "the payer paid less, or more", Cases(&[])),
    ("N-85", "another state than its event's", Cases(&[])),
    ("N-86", "a state of tomorrow", Cases(&[])),
    ("N-87", "a payment's number that is none", Cases(&[])),
    ("N-88", "another trade type", Cases(&[])),
    (
        "N-89",
        "another payer",
        Cases(&["policy::a_payment_by_another_payer_is_believed_and_said_to_be"]),
    ),
    ("N-90", "paid at an impossible time", Cases(&[])),
    ("N-91", "a note that is code", Cases(&[])),
    ("N-92", "a refund's notice that does not fit", Cases(&[])),
    (
        "N-93",
        "a refund that ends twice",
        Tests(&[
            "notices::refunds::a_refunds_notice_is_believed_only_where_everything_fits",
            "notices::refunds::a_refund_closed_or_abnormal_by_notice_gives_back_what_it_should_and_once",
        ]),
    ),
    (
        "N-94",
        "a partner's notice",
        Cases(&["partner::a_notice_of_another_merchant_or_mode_is_a_contradiction"]),
    ),
    ("N-95", "a combined order", Cases(&[])),
    (
        "N-96",
        "two payments of one order",
        Tests(&["notices::a_second_payment_of_one_order_is_for_a_person"]),
    ),
    // Placing an order.
    (
        "A-C1",
        "a price, number or address from a payer",
        Tests(&[ORDERED]),
    ),
    ("A-C2", "a quantity that is none", Tests(&[ORDERED])),
    ("A-C3", "an article that is not on sale", Tests(&[ORDERED])),
    (
        "A-C4",
        "an Idempotency-Key that is none",
        Tests(&["bodies::a_payers_order_needs_one_good_key"]),
    ),
    (
        "A-C5",
        "one key for two orders, or of two payers",
        Tests(&[
            "create::the_same_number_with_other_terms_names_the_field_that_differs",
            "callers::the_same_key_of_two_payers_means_two_orders",
        ]),
    ),
    (
        "A-C6",
        "a body that is no JSON object",
        Tests(&[ORDERED, "bodies::stray_bytes_are_no_json"]),
    ),
    ("A-C7", "a description from a payer", Tests(&[ORDERED])),
    (
        "A-C8",
        "orders without end",
        Tests(&["floods::a_payer_has_a_bound_on_unpaid_orders_and_nobody_else_feels_it"]),
    ),
    (
        "A-C9",
        "one coupon for two orders",
        Nothing("coupons are WeChat Pay's own; none is kept here"),
    ),
    (
        "A-C10",
        "an order for another's openid",
        Tests(&[
            ORDERED,
            "callers::a_credential_that_is_not_ours_opens_nothing_whatever_is_wrong_with_it",
        ]),
    ),
    ("A-C11", "an expiry from a payer", Tests(&[ORDERED])),
    (
        "A-C12",
        "a browser's page of another site",
        Gateway(&["attacks::no_answer_opens_the_api_to_a_page_of_another_site"]),
    ),
    // Looking.
    (
        "A-Q1",
        "another's order",
        Tests(&["callers::somebody_elses_order_is_as_good_as_missing_on_every_route"]),
    ),
    (
        "A-Q2",
        "a number that is a path",
        Tests(&["addresses::a_path_is_taken_as_api_gateway_decodes_it"]),
    ),
    (
        "A-Q3",
        "numbers tried one after the other",
        Tests(&["shared::api::derived_ids::tests::each_intention_has_a_number_of_its_own"]),
    ),
    (
        "A-Q4",
        "a query that no route knows",
        Tests(&["addresses::a_route_knows_its_own_parameters_and_no_others"]),
    ),
    (
        "A-Q5",
        "a question again and again",
        Tests(&["races::of_many_questions_at_once_one_reaches_wechat_pay"]),
    ),
    (
        "A-Q6",
        "an answer that tells more than it should",
        Tests(&["create::the_merchant_sees_what_was_ordered_as_it_was_then_and_a_payer_as_before"]),
    ),
    // Refunds.
    (
        "A-R1",
        "a refund of another's order",
        Tests(&["callers::somebody_elses_order_is_as_good_as_missing_on_every_route"]),
    ),
    (
        "A-R2",
        "an amount that is none, or too much",
        Tests(&[REFUNDED]),
    ),
    (
        "A-R3",
        "fifty refunds of everything at once",
        Tests(&["refunds::fifty_refunds_at_once_never_give_back_more_than_was_paid"]),
    ),
    (
        "A-R4",
        "one number fifty times",
        Tests(&["refunds::the_same_number_refunds_once_however_often_it_is_asked"]),
    ),
    (
        "A-R5",
        "one number with another amount",
        Tests(&["refunds::the_same_number_refunds_once_however_often_it_is_asked"]),
    ),
    ("A-R6", "another account or address", Tests(&[REFUNDED])),
    (
        "A-R7",
        "a refund of an order that is not paid",
        Tests(&[
            REFUNDED,
            "store::refunds::an_order_that_is_not_paid_gives_nothing_back",
        ]),
    ),
    ("A-R8", "a reason that is none", Tests(&[REFUNDED])),
    (
        "A-R9",
        "more refunds than an order may have",
        Tests(&["races::an_order_takes_fifty_refunds_and_no_more"]),
    ),
    (
        "A-R10",
        "a refund from two desks at once",
        Tests(&["races::of_requests_that_together_exceed_the_total_only_what_fits_is_approved"]),
    ),
    // Credentials.
    (
        "A-T1",
        "no credential, two, or half of one",
        Tests(&[CREDENTIALS]),
    ),
    (
        "A-T2",
        "a token that is over, or of another stack",
        Tests(&[CREDENTIALS]),
    ),
    (
        "A-T3",
        "a token of another algorithm or key",
        Tests(&[CREDENTIALS]),
    ),
    (
        "A-T4",
        "a token where it does not belong",
        Tests(&[CREDENTIALS]),
    ),
    (
        "A-T5",
        "a login code that was used, or is another app's",
        Tests(&[
            "bodies::a_login_is_a_fresh_code_and_nothing_else",
            "attacks::a_code_of_another_app_logs_nobody_in",
            "floods::a_user_who_logs_in_all_the_time_is_told_that_it_is_too_often",
        ]),
    ),
    (
        "A-T6",
        "how long a comparison takes",
        Nothing(
            "only SHA-256 of a key is compared, each in constant time; a test of time would be luck",
        ),
    ),
    (
        "A-T7",
        "a session chosen by another",
        Nothing("a token is made anew at each login, and none is kept"),
    ),
    (
        "A-T8",
        "an order sent again by who listened",
        Tests(&[
            "create::sixteen_equal_payers_creates_give_one_order_each_of_whose_parameters_pays",
        ]),
    ),
    // A hostile or broken WeChat Pay.
    (
        "A-W1",
        "an answer without a signature that holds",
        Tests(&[
            "shared::wechatpay::tests::answers::a_2xx_without_a_signature_that_holds_is_no_answer",
            "wechat_trouble::an_answer_whose_signature_does_not_hold_is_none",
        ]),
    ),
    (
        "A-W2",
        "an answer about something else",
        Tests(&[
            "shared::wechatpay::tests::answers::an_answer_about_something_else_is_no_answer",
            "wechat_trouble::signed_answers_that_do_not_belong_to_the_question_are_none",
        ]),
    ),
    (
        "A-W3",
        "a redirect to an address inside",
        Tests(&["shared::wechatpay::tests::attempts::a_redirect_is_not_followed"]),
    ),
    (
        "A-W4",
        "a prepay_id that signs something else",
        Tests(&[
            "shared::wechatpay::tests::answers::an_id_that_could_be_signed_into_something_else_is_no_answer",
        ]),
    ),
    (
        "A-W5",
        "a bill that lies elsewhere",
        Tests(&[
            "shared::wechatpay::tests::downloads::an_offer_at_a_foreign_host_or_of_another_hash_is_none",
            "shared::wechatpay::tests::endpoints::a_file_is_fetched_from_an_accepted_host_alone",
        ]),
    ),
    (
        "A-W6",
        "a bill that unpacks without end, or is none",
        Tests(&[
            "shared::wechatpay::tests::downloads::a_download_that_does_not_end_is_broken_off",
            "shared::wechatpay::tests::bills::a_line_without_an_end_is_refused_before_it_fills_the_memory",
            "shared::wechatpay::tests::bills::no_other_bytes_are_a_bill",
            "reconcile::no_trouble_with_a_bill_is_ever_half_a_comparison",
        ]),
    ),
    (
        "A-W7",
        "an answer without end, or none",
        Tests(&[
            "shared::wechatpay::tests::answers::a_body_without_end_is_not_read_to_its_end",
            "shared::wechatpay::tests::answers::headers_without_end_are_not_read_to_their_end",
            "shared::wechatpay::tests::attempts::silence_ends_with_the_callers_time",
        ]),
    ),
    (
        "A-W8",
        "a certificate of another host or authority",
        Tests(&["tls::an_authority_is_trusted_only_where_it_is_named"]),
    ),
    (
        "A-W9",
        "told to wait for a day",
        Tests(&[
            "shared::wechatpay::tests::attempts::too_many_requests_are_not_answered_with_another",
        ]),
    ),
    (
        "A-W10",
        "a refusal with a page, or with a secret",
        Tests(&["shared::wechatpay::tests::answers::a_refusal_keeps_little_of_a_strange_body"]),
    ),
];

/// The numbers that there are: each prefix with how many.
pub(super) const NUMBERS: [(&str, usize); 6] = [
    ("N-", 96),
    ("A-C", 12),
    ("A-Q", 6),
    ("A-R", 10),
    ("A-T", 8),
    ("A-W", 10),
];

const ORDERED: &str = "bodies::a_payer_orders_articles_and_decides_nothing_else";
const REFUNDED: &str = "bodies::what_is_asked_back_is_an_amount_and_little_else";
const CREDENTIALS: &str =
    "callers::a_credential_that_is_not_ours_opens_nothing_whatever_is_wrong_with_it";
