// Takes the picture of the phone for the manual, from a simulator with a little to see:
//   BINARIES=target/debug CHROMIUM=/usr/bin/chromium node tests/browser/picture.js docs/images/phone.png
//   pngquant --force --strip --speed 1 --quality 70-95 --output docs/images/phone.png docs/images/phone.png

import { Browser, Simulator } from "./support.js";

const [file] = process.argv.slice(2);
const [browser, simulator] = await Promise.all([Browser.start(), Simulator.start()]);
const control = (path, body = {}) => fetch(`${simulator.control_url}${path}`, { method: "POST", body: JSON.stringify(body) });
const { mchid } = simulator.merchant.file;

await control("/_sim/knobs", { refund_delay_s: null });
await simulator.order("biscuits-0104", 1250, "Almond biscuits");
await control("/_sim/faults", { name: "notice_lost", count: 1 });
await control("/_sim/orders/biscuits-0104/pay");
await control("/_sim/clock", { advance_s: 15, wait: true });
await simulator.merchant.send("POST", "/v3/refund/domestic/refunds", {
  out_trade_no: "biscuits-0104", out_refund_no: "biscuits-0104-back", notify_url: simulator.inbox.url, amount: { refund: 250, total: 1250, currency: "CNY" },
});
await simulator.order("coffee-0105", 3800, "Two flat whites");
await simulator.order("tea-0106", 12800, "乌龙茶 Oolong tea, 250 g");
const path = "/v3/pay/transactions/out-trade-no/tea-0106";
await simulator.merchant.send("GET", `${path}?mchid=${mchid}`, undefined, { target: path });
await control("/_sim/faults", { name: "notice_duplicated" });

const page = await browser.page(`${simulator.control_url}/#requests`, { viewport: { width: 1180, height: 820 } });
await page.locator("#list-requests summary").first().click();
await page.getByRole("tab", { name: "Faults 1 on" }).waitFor();
await page.mouse.move(0, 0);
await page.screenshot({ path: file });
await browser.done();
await browser.stop();
await Simulator.stopAll();
