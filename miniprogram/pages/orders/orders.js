const { yuan, trouble, STATES } = require("../../words");

Page({
  data: { orders: [], message: "", loaded: false },

  onShow() {
    return this.load();
  },

  async onPullDownRefresh() {
    await this.load();
    wx.stopPullDownRefresh();
  },

  load() {
    this.next = undefined;
    return this.page([]);
  },

  onReachBottom() {
    if (this.next !== undefined) return this.page(this.data.orders);
  },

  async page(before) {
    try {
      const { items, next_token } = await getApp().payments.orders(this.next);
      this.next = next_token;
      const orders = before.concat(
        items.map((order) => ({
          out_trade_no: order.out_trade_no,
          state: STATES[order.trade_state],
          amount: yuan(order.amount.total),
        })),
      );
      this.setData({ orders, message: "", loaded: true });
    } catch (error) {
      this.setData({ message: trouble(error), loaded: true });
    }
  },

  open(event) {
    wx.navigateTo({ url: `/pages/order/order?out_trade_no=${event.currentTarget.dataset.number}` });
  },
});
