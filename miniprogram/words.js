// What the payer reads.

/** Fen as yuan, without ever dividing: 1250 is ¥12.50. */
function yuan(fen) {
  const digits = String(fen).padStart(3, "0");
  return `¥${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

const STATES = { NOTPAY: "待支付", CLOSING: "正在关闭", CLOSED: "已关闭", SUCCESS: "已支付" };

const REFUNDS = {
  REQUESTED: "退款待商家审核",
  REJECTED: "商家已拒绝退款",
  RESERVED: "退款处理中",
  PROCESSING: "退款处理中",
  ABNORMAL: "退款处理中，请联系商家",
  SUCCESS: "已退款",
  CLOSED: "退款未成功，请联系商家",
  WITHDRAWING: "退款处理中",
  WITHDRAWN: "退款已取消",
};

const OUTCOMES = {
  paid: "支付成功",
  cancelled: "已取消支付",
  failed: "支付未完成，请重试",
  closed: "订单已关闭，请重新下单",
  unconfirmed: "正在确认支付结果，请稍后在“我的订单”查看",
};

const TROUBLE = {
  network: "网络不给力，请重试",
  login_failed: "登录失败，请重试",
  unknown_sku: "商品已下架，请重新选择",
  too_many_open_orders: "待支付订单太多，请先支付或关闭",
  earlier_order_paid: "上一笔订单已支付，请在“我的订单”查看",
  outcome_unknown: "正在确认上一笔支付，请稍后再试",
  order_paid: "订单已支付，无法关闭",
  refund_exceeds: "超出可退金额",
  refund_too_late: "订单已超过退款期限",
};

/** A sentence for any error; a repeat of the same step is always safe. */
function trouble(error) {
  return TROUBLE[error.code] || "暂时无法完成，请稍后重试";
}

module.exports = { yuan, trouble, STATES, REFUNDS, OUTCOMES };
