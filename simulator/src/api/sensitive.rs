//! Members that a client encrypts for WeChat Pay.

use super::answer::Refusal;
use super::context::Context;

/// The private key for sensitive fields, named by `Wechatpay-Serial` (docs/simulator.md,
/// `refund-endings`).
pub(crate) fn sensitive_key(context: &Context<'_>) -> Result<String, Refusal> {
    let Some(serial) = context.request.header("wechatpay-serial") else {
        let message = "HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)";
        return Err(Refusal::new(400, "PARAM_ERROR", message)
            .because("name the key that encrypted the fields in the header Wechatpay-Serial"));
    };
    context
        .caller
        .merchant
        .platform_private(serial)
        .map(str::to_owned)
        .ok_or_else(|| {
            Refusal::new(400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误").because(format!(
                "{serial} is no key of WeChat Pay for this merchant"
            ))
        })
}
