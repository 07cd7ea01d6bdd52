//! What a stack tells: where it is, its secrets, its addresses.

use super::fixture::{assert_finding, looked_at, made, names, report};
use super::online::free_address;
use super::web::serve;
use crate::doctor::{Name, Place, Secrets, Subject, Unread, Verdict, WhyUnread};

fn deployed() -> Place {
    Place::Aws {
        stack: "the stack wxpay in eu-west-1".to_owned(),
        region: "eu-west-1".to_owned(),
    }
}

#[tokio::test]
async fn where_the_stack_is_and_what_may_be_read_of_it_is_told() {
    let found = Subject {
        place: deployed(),
        ..made().sound.clone()
    };
    let report = looked_at(&found).await;
    assert_finding(&report, Name::Stack, Verdict::Ok, "far from WeChat Pay", "");
    assert_finding(&report, Name::Iam, Verdict::Ok, "all that is needed", "");
    let near = Subject {
        place: Place::Aws {
            stack: "the stack wxpay in ap-southeast-1".to_owned(),
            region: "ap-southeast-1".to_owned(),
        },
        ..found.clone()
    };
    let near = looked_at(&near).await;
    assert_finding(
        &near,
        Name::Stack,
        Verdict::Ok,
        "wxpay in ap-southeast-1 is there",
        "",
    );
    let unfound = Subject {
        place: Place::Unfound {
            why: "Stack with id wxpay does not exist".to_owned(),
        },
        ..Subject::default()
    };
    let report = looked_at(&unfound).await;
    assert_finding(
        &report,
        Name::Stack,
        Verdict::Fail,
        "does not exist",
        "--region",
    );
    assert_finding(
        &report,
        Name::Iam,
        Verdict::Skipped,
        "could not be looked at",
        ".",
    );
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_names_the_action() {
    let unread = |why| Subject {
        place: deployed(),
        unread: vec![Unread {
            what: "SigningSecretArn".to_owned(),
            why,
        }],
        ..Subject::default()
    };
    let action = "secretsmanager:GetSecretValue";
    let denied = looked_at(&unread(WhyUnread::Denied { action })).await;
    assert_finding(
        &denied,
        Name::Iam,
        Verdict::Fail,
        action,
        "Allow these actions",
    );
    let empty = looked_at(&unread(WhyUnread::Empty)).await;
    assert_finding(
        &empty,
        Name::Iam,
        Verdict::Fail,
        "no value yet",
        "secrets put",
    );
}

#[tokio::test]
async fn each_secret_is_read_as_the_functions_read_it() {
    let sound = Secrets {
        apiv3: Some(r#"{"apiv3_key":"CANARYapiv3key0CANARYapiv3key012"}"#.to_owned()),
        ..Secrets::default()
    };
    let subject = |secrets: &Secrets| Subject {
        place: deployed(),
        ..Subject::default().with_secrets(secrets.clone())
    };
    let report = looked_at(&subject(&sound)).await;
    assert_finding(&report, Name::Secrets, Verdict::Ok, "can read apiv3", "");
    assert_finding(&report, Name::Apiv3Key, Verdict::Ok, "32 letters", "");
    let broken = Secrets {
        signing: Some("-----BEGIN PRIVATE KEY-----\nCANARYprivate\n".to_owned()),
        app: Some(r#"{"appid":"wx0123456789abcdef","app_secret":"CANARYtooshort"}"#.to_owned()),
        api: Some("{}".to_owned()),
        ..sound
    };
    let report = looked_at(&subject(&broken)).await;
    let (name, fail) = (Name::Secrets, Verdict::Fail);
    for words in [
        "signing: it is not JSON",
        "app: app_secret is not 32",
        "api: it is not JSON",
    ] {
        assert_finding(&report, name, fail, words, "secrets put");
    }
}

#[tokio::test]
async fn a_secret_in_another_place_of_its_json_is_found_missing() {
    // The appid of the secret and the stack's are compared, too.
    let secrets = Secrets {
        app: Some(
            r#"{"appid":"wx00000000000000aa","app_secret":"CANARYsecret0000CANARYsecret0000"}"#
                .to_owned(),
        ),
        ..Secrets::default()
    };
    let subject = Subject {
        appid: Some("wx00000000000000bb".to_owned()),
        ..Subject::default().with_secrets(secrets)
    };
    let report = looked_at(&subject).await;
    let name = Name::AppSecret;
    assert_finding(
        &report,
        name,
        Verdict::Fail,
        "it is of wx00000000000000aa",
        ".",
    );
}

#[tokio::test]
async fn the_local_stack_is_not_blamed_for_being_local() {
    let local = Subject {
        place: Place::Local,
        notify_url: Some("http://127.0.0.1:3000/wechatpay/notify".to_owned()),
        base_url: Some("http://127.0.0.1:3000".to_owned()),
        ..made().sound.clone()
    };
    let report = looked_at(&local).await;
    assert_eq!(names(&report, Verdict::Fail), []);
    assert_finding(
        &report,
        Name::NotifyUrl,
        Verdict::Skipped,
        "local stack",
        ".",
    );
    assert_finding(
        &report,
        Name::RequestDomain,
        Verdict::Skipped,
        "developer tools",
        ".",
    );
}

#[tokio::test]
async fn a_host_that_no_mini_program_may_call_is_told() {
    let hosts = [
        (
            "https://abc123.execute-api.ap-east-1.amazonaws.com",
            "no ICP filing",
            "DomainName",
        ),
        (
            "https://pay.example.com",
            "cannot be seen from here",
            "服务器域名",
        ),
    ];
    for (address, evidence, fix) in hosts {
        let subject = Subject {
            base_url: Some(address.to_owned()),
            ..made().sound.clone()
        };
        let report = looked_at(&subject).await;
        assert_finding(
            &report,
            Name::RequestDomain,
            Verdict::Skipped,
            evidence,
            fix,
        );
    }
}

#[tokio::test]
async fn who_answers_at_the_addresses_is_judged_by_what_it_says() {
    let own = r#"{"code":"FAIL","message":"unauthorized"}"#;
    let (ok, fail) = (Verdict::Ok, Verdict::Fail);
    let cases = [
        (401, own, ok, "refused there with 401"),
        (400, own, ok, "refused there with 400"),
        (200, "", fail, "accepted there with 200"),
        (204, "", fail, "accepted there with 204"),
        (302, "", fail, "redirects"),
        (
            404,
            r#"{"message":"Not Found"}"#,
            fail,
            "nothing handles notifications",
        ),
        (405, "", fail, "nothing handles notifications"),
        (
            503,
            r#"{"code":"FAIL","message":"try again"}"#,
            fail,
            "cannot read its secrets",
        ),
        (502, "", fail, "it answers 502"),
    ];
    for (status, body, verdict, words) in cases {
        let base = serve([("/wechatpay/notify", (status, body))].into()).await;
        let subject = Subject {
            notify_url: Some(format!("{base}/wechatpay/notify")),
            ..Subject::default()
        };
        let report = report(&subject, 0, true).await;
        assert_finding(&report, Name::NotifyReachable, verdict, words, "");
    }
    let cases = [
        (
            401,
            r#"{"code":"unauthorized"}"#,
            ok,
            "can read their secrets",
        ),
        (503, r#"{"code":"not_configured"}"#, fail, "not_configured"),
        (500, "", fail, "answers 500"),
    ];
    for (status, body, verdict, words) in cases {
        let base = serve([("/orders/wxpay-doctor", (status, body))].into()).await;
        let subject = Subject {
            base_url: Some(base),
            ..Subject::default()
        };
        let report = report(&subject, 0, true).await;
        assert_finding(&report, Name::Functions, verdict, words, "");
    }
}

#[tokio::test]
async fn nobody_at_the_addresses_is_a_failure() {
    let base = free_address().await;
    let subject = Subject {
        notify_url: Some(format!("{base}/wechatpay/notify")),
        base_url: Some(base),
        ..Subject::default()
    };
    let report = report(&subject, 0, true).await;
    assert_finding(
        &report,
        Name::NotifyReachable,
        Verdict::Fail,
        "no connection",
        "DNS",
    );
    assert_finding(
        &report,
        Name::Functions,
        Verdict::Fail,
        "no connection",
        "BaseUrl",
    );
}
