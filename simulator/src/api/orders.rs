//! Placing and closing orders (docs/simulator.md, `schema` to `lifetimes`, and `closing`), direct and
//! for partners.

mod tickets;

use std::net::IpAddr;

use serde_json::{Value, json};

use self::tickets::{prepay_id, ticket};
use super::answer::{Draft, Refusal};
use super::body::{parse, parse_from, same_merchant};
use super::context::Context;
use super::schema::{self, Field, Kind, Source, integer, matching, object, of, optional, text};
use super::sensitive::sensitive_key;
use crate::beijing::{self, DAY_MS, MINUTE_MS};
use crate::canonical;
use crate::ledger::{Order, OrderKey, OrderState, Partner, TradeType, UNPAID_LIFE_MS};

/// Room for the base64 of a member that the client encrypted; no document names a limit.
const SEALED_CHARACTERS_MAX: usize = 1_024;
/// The limit of `detail`, without blanks (docs/simulator.md, `schema`).
const DETAIL_BYTES_MAX: usize = 6_144;

const AMOUNT: &[Field] = &[
    integer("total", "总金额", 1),
    optional(text("currency", "货币类型", 16)),
];
const IDENTITY: &[Field] = &[
    of(
        "type",
        "证件类型",
        Kind::OneOf(&[
            "IDCARD",
            "HONGKONG_MACAO",
            "HONGKONG_MACAO_RESIDENT",
            "TAIWAN_RESIDENT",
            "FOREIGN_RESIDENT",
            "OVERSEA_PASSPORT",
            "PHONE_NUMBER",
        ]),
    ),
    text("number", "证件号", SEALED_CHARACTERS_MAX),
    text("name", "姓名", SEALED_CHARACTERS_MAX),
];
/// Who may pay an order that names no openid.
const IDENTIFIED_PAYER: &[Field] = &[optional(object("identity", "实名信息", IDENTITY))];
const PAYER: &[Field] = &[
    matching_openid("openid", "用户标识"),
    optional(object("identity", "实名信息", IDENTITY)),
];
const PARTNER_PAYER: &[Field] = &[
    optional(matching_openid("sp_openid", "用户标识")),
    optional(matching_openid("sub_openid", "用户子标识")),
    optional(object("identity", "实名信息", IDENTITY)),
];
const DETAIL: &[Field] = &[
    optional(integer("cost_price", "订单原价", 0)),
    optional(text("invoice_id", "商品小票ID", 32)),
    optional(of("goods_detail", "单品列表", Kind::Objects(schema::GOODS))),
];
const STORE: &[Field] = &[
    text("id", "门店编号", 32),
    optional(text("name", "门店名称", 256)),
    optional(text("area_code", "地区编码", 32)),
    optional(text("address", "详细地址", 512)),
];
const H5_INFO: &[Field] = &[
    of("type", "场景类型", Kind::OneOf(&["Wap", "iOS", "Android"])),
    optional(text("app_name", "应用名称", 64)),
    optional(text("app_url", "网站URL", 128)),
    optional(text("bundle_id", "iOS平台BundleID", 128)),
    optional(text("package_name", "Android平台PackageName", 128)),
];
const SCENE: &[Field] = &[
    text("payer_client_ip", "用户终端IP", 45),
    optional(text("device_id", "商户端设备号", 32)),
    optional(object("store_info", "商户门店信息", STORE)),
];
const H5_SCENE: &[Field] = &[
    text("payer_client_ip", "用户终端IP", 45),
    optional(text("device_id", "商户端设备号", 32)),
    optional(object("store_info", "商户门店信息", STORE)),
    object("h5_info", "H5场景信息", H5_INFO),
];
/// Which cards and balances an order cannot be paid with.
const LIMIT_PAY: &[&str] = &["no_balance", "no_credit", "no_debit", "balance_only"];
const SUBSIDY_PLAN: &[Field] = &[
    of(
        "subsidy_installment_num",
        "分期期数",
        Kind::IntegerOneOf(&[3, 6, 12]),
    ),
    of("subsidy_percent", "补贴比例", Kind::IntegerOneOf(&[0, 100])),
];
const SUBSIDY_DETAIL: &[Field] = &[
    of(
        "subsidy_period_type",
        "补贴周期类型",
        Kind::OneOf(&["DAILY", "PERIOD"]),
    ),
    of("subsidy_plan", "补贴方案", Kind::Objects(SUBSIDY_PLAN)),
];
const SUBSIDY: &[Field] = &[optional(of(
    "subsidy_detail",
    "补贴详情",
    Kind::Objects(SUBSIDY_DETAIL),
))];
const SETTLE: &[Field] = &[optional(of(
    "profit_sharing",
    "是否指定分账",
    Kind::Boolean,
))];
const PARTNER_SETTLE: &[Field] = &[
    optional(of("profit_sharing", "是否指定分账", Kind::Boolean)),
    optional(integer("subsidy_amount", "补差金额", 0)),
];

const fn matching_openid(name: &'static str, label: &'static str) -> Field {
    text(name, label, 128)
}

/// The members of an order's body.
pub(super) fn fields(partner: bool, trade_type: TradeType) -> Vec<Field> {
    let mut fields = if partner {
        vec![
            text("sp_appid", "服务商应用ID", 32),
            text("sp_mchid", "服务商户号", 32),
            optional(text("sub_appid", "子商户应用ID", 32)),
            text("sub_mchid", "子商户号/二级商户号", 32),
        ]
    } else {
        vec![text("appid", "商户appid", 32), text("mchid", "商户号", 32)]
    };
    fields.extend([
        text("description", "商品描述", 127),
        matching("out_trade_no", "商户订单号", (6, 32), schema::ORDER_NUMBER),
        optional(of("time_expire", "交易结束时间", Kind::Time { max: 64 })),
        optional(text("attach", "附加数据", 128)),
        matching("notify_url", "通知地址", (0, 255), schema::NOTIFY_URL),
        optional(text("goods_tag", "订单优惠标记", 32)),
        optional(of("limit_pay", "指定支付方式", Kind::Texts(LIMIT_PAY))),
        optional(of("support_fapiao", "电子发票入口开放标识", Kind::Boolean)),
        object("amount", "订单金额信息", AMOUNT),
        optional(object("detail", "优惠功能", DETAIL)),
        optional(object(
            "settle_info",
            "结算信息",
            if partner { PARTNER_SETTLE } else { SETTLE },
        )),
    ]);
    match trade_type {
        TradeType::Jsapi | TradeType::App => {
            fields.push(optional(object("subsidy_info", "补贴信息", SUBSIDY)));
        }
        TradeType::Native | TradeType::H5 => {}
    }
    fields.push(match trade_type {
        TradeType::Jsapi if partner => object("payer", "支付者", PARTNER_PAYER),
        TradeType::Jsapi => object("payer", "支付者", PAYER),
        TradeType::Native | TradeType::App | TradeType::H5 => {
            optional(object("payer", "支付者", IDENTIFIED_PAYER))
        }
    });
    fields.push(match trade_type {
        TradeType::H5 => object("scene_info", "场景信息", H5_SCENE),
        TradeType::Jsapi | TradeType::Native | TradeType::App => {
            optional(object("scene_info", "场景信息", SCENE))
        }
    });
    fields
}

/// Places an order, or repeats one.
pub(crate) fn create(
    context: &mut Context<'_>,
    partner: bool,
    trade_type: TradeType,
) -> Result<Draft, Refusal> {
    let body = parse(context, &fields(partner, trade_type))?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let (mchid_field, appid_field) = if partner {
        ("sp_mchid", "sp_appid")
    } else {
        ("mchid", "appid")
    };
    same_merchant(context, string(mchid_field).as_deref())?;
    let own_appid = string(appid_field).unwrap_or_default();
    let record = &context.caller.merchant.record;
    if !record.apps.iter().any(|app| app.appid == own_appid) {
        return Err(not_bound(&own_appid));
    }
    let partner = if partner {
        Some(partner_of(context, &body, own_appid.clone())?)
    } else {
        None
    };
    if !record.products.contains(&trade_type) {
        let message = "商户号该产品权限未开通，请前往商户平台>产品中心检查后重试";
        return Err(Refusal::new(403, "NO_AUTH", message));
    }
    let total_fen = body["amount"]["total"].as_i64().unwrap_or(0);
    if body["amount"]
        .get("currency")
        .is_some_and(|currency| currency != "CNY")
    {
        return Err(Refusal::new(400, "PARAM_ERROR", "参数错误").because("currency must be CNY"));
    }
    if body
        .get("detail")
        .is_some_and(|detail| detail.to_string().len() > DETAIL_BYTES_MAX)
    {
        return Err(Refusal::new(400, "PARAM_ERROR", "参数错误")
            .because(format!("detail is longer than {DETAIL_BYTES_MAX} bytes")));
    }
    check_scene(&body["scene_info"])?;
    let payable_until_ms = payable_until(context, &body, trade_type);
    let openid = payer(context, &body, trade_type, &own_appid, partner.as_ref())?;
    let key = OrderKey {
        mchid: context.caller.mchid().to_owned(),
        out_trade_no: string("out_trade_no").unwrap_or_default(),
    };
    let first_request = canonical::sorted(&body);
    let existing = context.state.orders.get(&key).cloned();
    let mut order = match existing {
        Some(order) => repeat(context, order, trade_type, &first_request)?,
        None => Order {
            entered: context.state.enter(),
            appid: partner
                .as_ref()
                .and_then(|partner| partner.sub_appid.clone())
                .unwrap_or(own_appid),
            key,
            trade_type,
            partner,
            description: string("description").unwrap_or_default(),
            attach: string("attach"),
            notify_url: string("notify_url").unwrap_or_default(),
            total_fen,
            openid,
            device_id: body["scene_info"]["device_id"].as_str().map(str::to_owned),
            first_request,
            serial_no: context.caller.serial_no.clone(),
            created_ms: context.now_ms,
            payable_until_ms,
            tickets: Vec::new(),
            state: OrderState::NotPaid,
            bound_payer: None,
            failed_attempts: 0,
            burnt: false,
        },
    };
    let ticket = ticket(context, &mut order);
    context.state.put_order(order);
    let answer = match (ticket.code_url, ticket.h5_url) {
        (Some(code_url), _) => json!({"code_url": code_url}),
        (None, Some(h5_url)) => json!({"h5_url": h5_url}),
        (None, None) => json!({"prepay_id": prepay_id(context, ticket.prepay_id)}),
    };
    Ok(Draft::ok(&answer))
}

/// The members of the body that closes an order.
pub(super) const fn close_fields(partner: bool) -> &'static [Field] {
    const DIRECT: &[Field] = &[text("mchid", "直连商户号", 32)];
    const PARTNER: &[Field] = &[
        text("sp_mchid", "服务商户号", 32),
        text("sub_mchid", "子商户号/二级商户号", 32),
    ];
    if partner { PARTNER } else { DIRECT }
}

/// Closes an unpaid order; closing twice is success.
pub(crate) fn close(
    context: &mut Context<'_>,
    partner: bool,
    out_trade_no: &str,
) -> Result<Draft, Refusal> {
    let body = parse_from(context, close_fields(partner), Source::UriTemplate)?;
    let name = if partner { "sp_mchid" } else { "mchid" };
    same_merchant(context, body.get(name).and_then(Value::as_str))?;
    if context.fault("close_user_paying", "close") {
        let body = json!({"code": "USERPAYING", "message": "用户支付中，需要输入密码"});
        let mut answer = Draft::ok(&body).fault("close_user_paying");
        answer.status = 202;
        return Ok(answer);
    }
    let key = OrderKey {
        mchid: context.caller.mchid().to_owned(),
        out_trade_no: out_trade_no.to_owned(),
    };
    let found = context.state.orders.get(&key).cloned();
    let found = found.filter(|order| {
        order
            .partner
            .as_ref()
            .map(|partner| partner.sub_mchid.as_str())
            == body.get("sub_mchid").and_then(Value::as_str)
    });
    let Some(mut order) = found else {
        if context.state.behaviours.close_unknown_burns {
            burn(context, key);
            return Ok(Draft::no_content());
        }
        return Err(not_exist());
    };
    match order.state {
        OrderState::Closed { .. } => {}
        OrderState::Paid(_) => {
            let code = context.state.behaviours.close_paid_code.clone();
            return Err(Refusal::new(400, &code, "该订单已支付")
                .number(268_498_689)
                .because("a paid order cannot be closed: query it and refund it if need be"));
        }
        OrderState::NotPaid => {
            order.state = OrderState::Closed {
                at_ms: context.now_ms,
            };
            context.state.put_order(order);
        }
    }
    Ok(Draft::no_content())
}

/// The 404 of orders.
pub(crate) fn not_exist() -> Refusal {
    Refusal::new(404, "ORDER_NOT_EXIST", "订单不存在")
        .number(268_512_771)
        .because("no order of this merchant has this number")
}

fn not_bound(appid: &str) -> Refusal {
    Refusal::new(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
        .number(268_445_527)
        .because(format!(
            "{appid} is not bound to this merchant; merchant.json names the appid that is"
        ))
}

fn partner_of(context: &Context<'_>, body: &Value, sp_appid: String) -> Result<Partner, Refusal> {
    let sub_mchid = body["sub_mchid"].as_str().unwrap_or_default().to_owned();
    let sub_appid = body
        .get("sub_appid")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let subs = &context.caller.merchant.record.sub_merchants;
    let Some(sub) = subs.iter().find(|sub| sub.sub_mchid == sub_mchid) else {
        return Err(Refusal::new(400, "MCH_NOT_EXISTS", "商户号不存在")
            .number(268_443_701)
            .because("this sub_mchid does not belong to the partner; add it by a control call"));
    };
    if sub_appid.as_ref() == Some(&sp_appid) {
        return Err(
            Refusal::new(400, "INVALID_REQUEST", "sub_appid与sp_appid不能相同").number(268_443_704),
        );
    }
    if sub_appid.is_some() && sub.sub_appid.is_some() && sub_appid != sub.sub_appid {
        return Err(not_bound(sub_appid.as_deref().unwrap_or_default()));
    }
    Ok(Partner {
        sp_appid,
        sub_mchid,
        sub_appid,
    })
}

fn payer(
    context: &Context<'_>,
    body: &Value,
    trade_type: TradeType,
    own_appid: &str,
    partner: Option<&Partner>,
) -> Result<Option<String>, Refusal> {
    let Some(payer) = body.get("payer") else {
        return Ok(None);
    };
    let string = |name: &str| payer.get(name).and_then(Value::as_str).map(str::to_owned);
    if payer.get("identity").is_some() {
        sensitive_key(context)?;
    }
    match trade_type {
        TradeType::Jsapi => {}
        TradeType::Native | TradeType::App | TradeType::H5 => return Ok(None),
    }
    let (openid, appid) = match partner {
        None => (string("openid"), own_appid),
        Some(partner) => match (string("sub_openid"), &partner.sub_appid) {
            (Some(sub_openid), Some(sub_appid)) => (Some(sub_openid), sub_appid.as_str()),
            (Some(_), None) => {
                return Err(Refusal::new(400, "PARAM_ERROR", "参数错误")
                    .number(268_443_705)
                    .because("sub_openid needs sub_appid"));
            }
            (None, _) => (string("sp_openid"), own_appid),
        },
    };
    let Some(openid) = openid else {
        return Err(Refusal::new(400, "PARAM_ERROR", "JSAPI支付必须传openid").number(268_501_013));
    };
    // An openid that came from a login belongs to the app of that login.
    match context.state.openids.get(&openid) {
        Some(home) if home != appid => Err(Refusal::new(400, "PARAM_ERROR", "appid与openid不匹配")
            .because(format!(
                "this openid belongs to {home}: log in with the appid of the order"
            ))),
        Some(_) | None => Ok(Some(openid)),
    }
}

/// What WeChat Pay documents of the payer's address; no message of it was observed.
fn check_scene(scene: &Value) -> Result<(), Refusal> {
    match scene["payer_client_ip"].as_str() {
        Some(address) if address.parse::<IpAddr>().is_err() => {
            Err(
                Refusal::new(400, "PARAM_ERROR", "参数错误").because(format!(
                    "payer_client_ip is the payer's IPv4 or IPv6 address, not {address:?}"
                )),
            )
        }
        Some(_) | None => Ok(()),
    }
}

/// When an order stops being payable; the schema has made sure that a stated time is one.
fn payable_until(context: &Context<'_>, body: &Value, trade_type: TradeType) -> i64 {
    let now_ms = context.now_ms;
    let stated = body.get("time_expire").and_then(Value::as_str);
    let Some(stated_ms) = stated.and_then(beijing::parse_rfc3339) else {
        return now_ms + UNPAID_LIFE_MS;
    };
    let behaviours = &context.state.behaviours;
    let days_max = match trade_type {
        TradeType::Native => behaviours.native_time_expire_days_max,
        TradeType::Jsapi | TradeType::App | TradeType::H5 => behaviours.time_expire_days_max,
    };
    stated_ms.clamp(now_ms + MINUTE_MS, now_ms + i64::from(days_max) * DAY_MS)
}

/// Decides what a repeat of a number means (docs/simulator.md, `repeats` and `lifetimes`).
fn repeat(
    context: &Context<'_>,
    order: Order,
    trade_type: TradeType,
    first_request: &str,
) -> Result<Order, Refusal> {
    let behaviours = &context.state.behaviours;
    match &order.state {
        OrderState::Paid(_) => {
            return Err(
                Refusal::new(400, &behaviours.order_paid_code, "该订单已支付")
                    .number(268_449_538)
                    .because("the order is paid: query it"),
            );
        }
        OrderState::Closed { .. } if !order.burnt => {
            return Err(Refusal::new(400, "ORDER_CLOSED", "订单已关闭")
                .number(268_447_914)
                .because("the order is closed and its number is burnt: use a new one"));
        }
        OrderState::Closed { .. } | OrderState::NotPaid => {}
    }
    if order.trade_type != trade_type && behaviours.other_trade_type_used && !order.burnt {
        return Err(
            Refusal::new(403, "OUT_TRADE_NO_USED", "商户订单号重复").because(format!(
                "the number was used for a {} order",
                order.trade_type.wire()
            )),
        );
    }
    if order.first_request != first_request || order.trade_type != trade_type {
        let message = "请求重入时，参数与首次请求时不一致";
        return Err(Refusal::new(400, &behaviours.reentry_code, message)
            .number(268_498_688)
            .because(difference(&order, first_request)));
    }
    Ok(order)
}

/// Names the members in which a repeat differs.
fn difference(order: &Order, again: &str) -> String {
    if order.burnt {
        return "the number was closed before it was ever ordered".to_owned();
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let (first, again) = (parse(&order.first_request), parse(again));
    let mut names: Vec<String> = Vec::new();
    for body in [&first, &again] {
        for name in body
            .as_object()
            .into_iter()
            .flat_map(|members| members.keys())
        {
            if first.get(name) != again.get(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    format!(
        "the first request with this out_trade_no had another {}: repeat with identical parameters \
         or use a new number",
        names.join(", ")
    )
}

/// Marks a number as closed before it was ordered, so that ordering it fails later.
fn burn(context: &mut Context<'_>, key: OrderKey) {
    let order = Order {
        entered: context.state.enter(),
        key,
        trade_type: TradeType::Jsapi,
        partner: None,
        appid: String::new(),
        description: String::new(),
        attach: None,
        notify_url: String::new(),
        total_fen: 0,
        openid: None,
        device_id: None,
        first_request: String::new(),
        serial_no: context.caller.serial_no.clone(),
        created_ms: context.now_ms,
        payable_until_ms: context.now_ms,
        tickets: Vec::new(),
        state: OrderState::Closed {
            at_ms: context.now_ms,
        },
        bound_payer: None,
        failed_attempts: 0,
        burnt: true,
    };
    context.state.put_order(order);
}
