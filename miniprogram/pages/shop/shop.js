const { yuan, trouble, OUTCOMES } = require("../../words");

Page({
  data: { articles: [], total: "", count: 0, busy: false, message: "", loaded: false },

  quantities: {},

  onLoad() {
    return this.load();
  },

  async onPullDownRefresh() {
    await this.load();
    wx.stopPullDownRefresh();
  },

  async load() {
    try {
      this.catalogue = await getApp().payments.articles();
      this.show({ message: "", loaded: true });
    } catch (error) {
      this.setData({ message: trouble(error), loaded: true });
    }
  },

  add(event) {
    this.change(event.currentTarget.dataset.sku, 1);
  },

  remove(event) {
    this.change(event.currentTarget.dataset.sku, -1);
  },

  change(sku, by) {
    this.quantities[sku] = Math.max(0, (this.quantities[sku] || 0) + by);
    this.show({});
  },

  /** Redraws from the catalogue and the cart. The total is for the eye: the service prices the order. */
  show(more) {
    const articles = (this.catalogue || []).map(({ sku, description, amount }) => ({
      sku,
      description,
      fen: amount.total,
      price: yuan(amount.total),
      quantity: this.quantities[sku] || 0,
    }));
    const fen = articles.reduce((sum, { fen, quantity }) => sum + fen * quantity, 0);
    const count = articles.reduce((sum, { quantity }) => sum + quantity, 0);
    this.setData({ articles, count, total: yuan(fen), ...more });
  },

  async checkOut() {
    const items = this.data.articles
      .filter(({ quantity }) => quantity > 0)
      .map(({ sku, quantity }) => ({ sku, quantity }));
    if (items.length === 0 || this.data.busy) return;
    this.setData({ busy: true, message: "" });
    try {
      // The same cart again is the same order, whatever went wrong on the way.
      const { outcome, order } = await getApp().payments.buy("cart", { items });
      if (outcome === "paid") this.quantities = {};
      this.show({ busy: false, message: outcome === "paid" ? "" : OUTCOMES[outcome] });
      if (outcome === "paid" || outcome === "unconfirmed") {
        wx.navigateTo({ url: `/pages/order/order?out_trade_no=${order.out_trade_no}` });
      }
    } catch (error) {
      // Paid before the cart was changed: it is the payer's, and this cart is another purchase.
      if (error.code === "earlier_order_paid") getApp().payments.finish("cart");
      this.setData({ busy: false, message: trouble(error) });
    }
  },
});
