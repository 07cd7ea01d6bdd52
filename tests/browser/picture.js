// Takes the pictures of the phone for the manual, from a simulator with a little to see:
//   BINARIES=target/debug CHROMIUM=/usr/bin/chromium node tests/browser/picture.js docs/images
//   pngquant --force --strip --speed 1 --quality 60-90 --ext .png docs/images/phone*.png

import path from "node:path";
import { Browser, Simulator } from "./support.js";

const [images] = process.argv.slice(2);
const [browser, simulator] = await Promise.all([Browser.start(), Simulator.start()]);
const control = (where, body = {}) => fetch(`${simulator.control_url}${where}`, { method: "POST", body: JSON.stringify(body) });
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
const asked = "/v3/pay/transactions/out-trade-no/tea-0106";
await simulator.merchant.send("GET", `${asked}?mchid=${mchid}`, undefined, { target: asked });
await control("/_sim/faults", { name: "notice_duplicated" });

const wide = await browser.page(`${simulator.control_url}/#notices`, { viewport: { width: 1280, height: 1240 } });
const notice = wide.locator("#list-notices > li").last();
await notice.locator("summary").first().click();
await notice.getByText("Bodies of attempt 2").click();
await notice.getByText("resource, opened").waitFor();
await wide.getByRole("tab", { name: "Faults 1 on" }).waitFor();
await wide.mouse.move(0, 0);
await wide.screenshot({ path: path.join(images, "phone.png") });

const narrow = await browser.page(`${simulator.control_url}/?lang=zh#requests`, { viewport: { width: 390, height: 844 } });
await narrow.getByText("实时", { exact: true }).waitFor();
await narrow.screenshot({ path: path.join(images, "phone-narrow.png") });
await browser.done();
await browser.stop();
await Simulator.stopAll();
