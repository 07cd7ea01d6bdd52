const { config } = require("./config");
const { Payments } = require("./payments/payments");
const { simulated } = require("./payments/development");

App({
  onLaunch() {
    // In development the simulator stands in for WeChat's login and payment.
    this.payments = new Payments({ baseUrl: config.baseUrl, wx: config.simulated ? simulated(wx, config.simulated) : wx });
  },
});
