//! Problems in Chinese: for each code a title and a sentence. What differs from one problem to the next (a
//! field, a limit, an amount) is filled in: `{name}` is a member of the document, `{detail}` the English text.

use serde_json::{Map, Value};

use super::super::code::Code;

/// Declares [`texts`] row by row, so that a code without a row does not compile.
macro_rules! texts {
    ($($code:ident = $title:literal, $sentence:literal;)+) => {
        /// A code's title, and its sentence with places to fill.
        const fn texts(code: Code) -> (&'static str, &'static str) {
            match code { $(Code::$code => ($title, $sentence),)+ }
        }
    };
}

texts! {
    BodyTooLarge = "请求体过大", "请求体过大（{detail}）";
    Unauthenticated = "没有有效的凭证", "请在 Authorization 请求头里携带有效的 token 或 API key";
    MalformedRequest = "请求头或参数缺失或格式错误", "请求头或参数缺失或格式错误（{detail}）";
    InvalidNumber = "路径里的单号格式错误", "路径或查询参数里的单号格式错误（{detail}）";
    MalformedJson = "请求体不是 JSON", "请求体不是 JSON（{detail}）";
    UnknownField = "未知字段", "有不认识的字段（{detail}）";
    FieldNotAllowed = "该调用方不得使用此字段", "该调用方不得使用字段 {field}（{detail}）";
    InvalidValue = "参数值无效", "参数值缺失或无效（{detail}）";
    UnknownSku = "商品未上架", "所选商品未上架（{detail}）";
    LoginRefused = "登录 code 被拒绝", "微信不接受这个登录 code，请重新调用 wx.login";
    TooManyLogins = "该用户登录过于频繁", "微信限制同一用户每分钟登录 100 次，请继续使用已有的 token";
    NotFound = "不存在", "没有这笔订单或退款";
    TooManyOpenOrders = "未支付的订单太多",
        "有 {open_orders} 笔订单未支付，或半小时内下单过多；请先支付或关闭一笔，或稍后再试";
    TermsDiffer = "单号已用于不同的内容",
        "这个单号或 key 已用于不同的内容，差异在 {field}；如果是另一笔，请换一个";
    OrderPaid = "订单已支付", "关单之前订单已支付；如需退还款项，请退款";
    OrderNotPaid = "订单未支付", "订单未支付，不能退款；如果刚刚付过款，请稍后原样再发一次";
    RefundNumberTaken = "退款单号属于另一笔订单", "这个退款单号已用于另一笔订单的退款，请换一个";
    RefundDecided = "退款已有决定", "退款的状态是 {refund_status}，不能这样处理";
    RefundNotAbnormal = "退款并非异常", "退款的状态是 {refund_status}，未确认为异常，不能申请其他退款方式";
    RefundExceeds = "超过可退金额", "最多还可以退 {refundable} 分，处理中的退款已从中扣除";
    TooManyRefunds = "退款次数已达上限（50）", "一笔订单最多退款 50 次，用户最多申请 50 次";
    RefundTooLate = "支付已超过一年", "支付已超过一年，不能退款";
    TradeTypeUnavailable = "商户账户不能使用这种交易类型",
        "商户账户不能使用这种交易类型：产品未开通，或没有可用的 appid（{detail}）";
    TermsRefused = "微信支付不接受这些内容", "微信支付不接受提交的内容，错误码 {wechatpay_code}";
    CodePending = "另一个请求正在获取支付参数",
        "另一个请求正在向微信支付获取这笔订单的支付参数，请稍后原样再发一次";
    WechatpayRefused = "微信支付拒绝了请求", "微信支付拒绝了请求，错误码 {wechatpay_code}";
    WechatpayUnavailable = "微信支付没有给出可用的应答", "微信支付没有给出可用的应答，结果未知，请稍后重试";
    ConcurrentChanges = "其他请求正在修改同一条记录", "其他请求正在修改同一条记录，请原样再发一次";
    StoreUnavailable = "记录无法读取或写入", "记录暂时无法读取或写入，请原样再发一次";
    OutOfTime = "处理超时", "处理超时，请原样再发一次";
    NotConfigured = "服务尚未配置", "服务还没有可用的密钥，已通知运维人员，请稍后重试";
    InternalError = "服务内部错误", "服务内部错误，请稍后重试";
}

/// The title and the detail of a problem.
pub(super) fn told(code: Code, detail: &str, more: &Map<String, Value>) -> (&'static str, String) {
    let (title, sentence) = texts(code);
    let mut filled = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        match more.get(name) {
            Some(Value::String(text)) => filled.push_str(text),
            Some(value) => filled.push_str(&value.to_string()),
            None => filled.push_str(detail),
        }
        rest = after;
    }
    filled.push_str(rest);
    (title, filled)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn chinese(text: &str) -> bool {
        text.chars()
            .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
    }

    #[test]
    fn every_code_has_a_title_and_a_sentence_of_its_own() {
        let mut sentences = BTreeSet::new();
        for code in Code::ALL {
            let (title, sentence) = texts(*code);
            assert!(chinese(title) && chinese(sentence), "{code:?}");
            assert!(
                sentences.insert(sentence),
                "{code:?} says what another says"
            );
            let names: Vec<&str> = sentence
                .split('{')
                .skip(1)
                .map(|part| part.split_once('}').unwrap().0)
                .collect();
            let known = [
                "detail",
                "field",
                "open_orders",
                "refund_status",
                "refundable",
                "wechatpay_code",
            ];
            assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        }
    }

    #[test]
    fn what_differs_is_filled_in() {
        let more = json!({"field": "amount.total", "refundable": 1550, "refund_status": "CLOSED"});
        let more = more.as_object().unwrap();
        let said = |code| told(code, "at most 5", more).1;
        assert_eq!(
            said(Code::RefundExceeds),
            "最多还可以退 1550 分，处理中的退款已从中扣除"
        );
        assert_eq!(
            said(Code::RefundDecided),
            "退款的状态是 CLOSED，不能这样处理"
        );
        assert_eq!(said(Code::InvalidValue), "参数值缺失或无效（at most 5）");
        assert_eq!(
            said(Code::FieldNotAllowed),
            "该调用方不得使用字段 amount.total（at most 5）"
        );
        assert_eq!(said(Code::NotFound), "没有这笔订单或退款");
        // A caller never reads a place that was not filled.
        for code in Code::ALL {
            let (_, said) = told(*code, "at most 5", &Map::new());
            assert!(!said.contains(['{', '}']), "{said}");
        }
    }
}
