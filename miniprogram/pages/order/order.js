const { yuan, trouble, STATES, REFUNDS } = require("../../words");

Page({
  data: { out_trade_no: "", state: "", amount: "", refunds: [], mayClose: false, mayRefund: false, busy: false, message: "" },

  onLoad({ out_trade_no }) {
    this.setData({ out_trade_no });
    return this.load();
  },

  async onPullDownRefresh() {
    await this.load();
    wx.stopPullDownRefresh();
  },

  load() {
    return this.step(async (payments) => this.show(await payments.order(this.data.out_trade_no)));
  },

  close() {
    return this.step(async (payments) => {
      await payments.closeOrder(this.data.out_trade_no);
      this.show(await payments.order(this.data.out_trade_no));
    });
  },

  /** Asks for everything that can still be refunded. */
  requestRefund() {
    return this.step(async (payments) => {
      await payments.requestRefund(this.data.out_trade_no, this.refundable);
      this.show(await payments.order(this.data.out_trade_no));
    });
  },

  /** One step at a time; what goes wrong is told, and the step can be repeated. */
  async step(work) {
    if (this.data.busy) return;
    this.setData({ busy: true, message: "" });
    try {
      await work(getApp().payments);
      this.setData({ busy: false });
    } catch (error) {
      this.setData({ busy: false, message: trouble(error) });
    }
  },

  show(order) {
    const refunds = order.refunds || [];
    this.refundable = order.amount.refundable || 0;
    this.setData({
      state: STATES[order.trade_state],
      amount: yuan(order.amount.total),
      refunds: refunds.map(({ out_refund_no, status, amount }) => ({
        out_refund_no,
        status: REFUNDS[status],
        amount: yuan(amount.refund),
      })),
      mayClose: order.trade_state === "NOTPAY",
      mayRefund: this.refundable > 0 && !refunds.some(({ status }) => status === "REQUESTED"),
    });
  },
});
