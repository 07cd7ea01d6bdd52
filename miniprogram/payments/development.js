"use strict";
// What stands in for WeChat while a mini-program is developed against `cargo run`: login codes come
// from the simulator, and `wx.requestPayment` becomes a question on the screen, whose answer the
// simulator carries out after it has checked the signed parameters as WeChat would. Everything else,
// requests and storage, stays the real `wx`. Not for a release: `config.js` is the one switch.
Object.defineProperty(exports, "__esModule", { value: true });
exports.simulated = simulated;
const TIMEOUT_MS = 10000;
/** `wx`, with the simulator in place of WeChat's login and payment. */
function simulated(wx, { controlUrl, openid }) {
    const base = controlUrl.replace(/\/+$/, "");
    const call = (method, path, body) => new Promise((resolve, reject) => {
        wx.request({
            url: base + path,
            method,
            header: { "Content-Type": "application/json" },
            data: body === undefined ? undefined : JSON.stringify(body),
            dataType: "text",
            timeout: TIMEOUT_MS,
            success: ({ statusCode, data }) => {
                if (statusCode >= 200 && statusCode < 300)
                    resolve(JSON.parse(String(data)));
                else
                    reject(new Error(String(data)));
            },
            fail: ({ errMsg }) => reject(new Error(errMsg)),
        });
    });
    /** The order that was handed this `prepay_id`. */
    const orderOf = async (pay) => {
        const { items } = (await call("GET", "/_sim/ledger", undefined));
        const prepayId = pay.package.replace("prepay_id=", "");
        const order = items.find((row) => row.prepay_id === prepayId);
        if (!order)
            throw new Error("no order has this prepay_id");
        return order.out_trade_no;
    };
    const asked = () => new Promise((resolve) => {
        wx.showModal({
            title: "Simulator 模拟器",
            content: "Pay this order? No money moves. 模拟支付，不会扣款。",
            cancelText: "Cancel",
            confirmText: "Pay",
            success: ({ confirm }) => resolve(confirm),
            fail: () => resolve(false),
        });
    });
    return {
        request: (options) => wx.request(options),
        getStorageSync: (key) => wx.getStorageSync(key),
        setStorageSync: (key, value) => wx.setStorageSync(key, value),
        removeStorageSync: (key) => wx.removeStorageSync(key),
        login({ success, fail }) {
            call("POST", "/_sim/codes", { openid }).then(({ code }) => success({ code: String(code) }), (error) => fail({ errMsg: `login:fail ${error.message}` }));
        },
        requestPayment({ success, fail, ...pay }) {
            const played = async () => {
                if (!(await asked()))
                    throw new Error("cancel");
                await call("POST", `/_sim/orders/${await orderOf(pay)}/pay`, { openid, pay });
            };
            played().then(success, (error) => fail({ errMsg: `requestPayment:fail ${error.message}` }));
        },
    };
}
