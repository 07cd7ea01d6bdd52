// Lines that work as they are printed, and where everything is.

import { setPayersApp } from "./calls.js";
import { button, byId, make } from "./elements.js";
import { word } from "./words.js";

// The number in the lines is one that was not used yet, so that they work again and again.
let number = "";
let places = null;
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The app that mini-program payments are signed for. */
export const appid = () => places?.payer_appid;

export function draw(books, afresh = false) {
  if (places === null || afresh) {
    places = books.places;
    setPayersApp(places.payer_appid);
    drawPlaces();
  }
  drawSteps(books.orders, afresh);
}

function drawPlaces() {
  byId("phone-page").href = places.control_url;
  byId("phone-page").hidden = false;
  const rows = [
    ["place_api", places.api_url], ["place_phone", places.control_url], ["place_wechatpay", places.simulator_url],
    ["place_aws", places.aws_url], ["place_file", `${places.data_dir}/local.json`], ["place_log", `${places.data_dir}/log.jsonl`],
    ["place_events", `${places.data_dir}/events.jsonl`], ["place_keys", `${places.data_dir}/simulator`],
    ["place_merchant", `${places.mchid}, ${places.appid}`],
  ];
  byId("places").replaceChildren(...rows.flatMap(([name, where]) => [make("dt", {}, word(name)), make("dd", {}, make("code", {}, where))]));
}

function drawSteps(orders, afresh) {
  const used = new Set(orders.map((order) => order.out_trade_no));
  // Until the number in the lines was paid and more, they stay what they are: somebody is at them.
  const current = orders.find((order) => order.out_trade_no === number);
  if (number && !afresh && (!current || current.refunds.length === 0)) return;
  if (!number || current?.refunds.length > 0) {
    let next = 1;
    const named = () => `hello-${String(next).padStart(4, "0")}`;
    while (used.has(named())) next += 1;
    number = named();
  }
  const bearer = '-H "Authorization: Bearer $key"';
  const json = "-H 'Content-Type: application/json'";
  const steps = [
    ["step_key", `key=$(sed -n 's/.*"merchant_api_key": "\\([^"]*\\)".*/\\1/p' ${quoted(`${places.data_dir}/local.json`)})`],
    ["step_order", `curl -sw '\\n' ${places.api_url}/orders ${bearer} \\\n  ${json} \\\n  -d '{"trade_type":"native","out_trade_no":"${number}","description":"Coffee","amount":{"total":1}}' | cut -c-250`],
    ["step_pay", `curl -sw '\\n' -X POST ${places.control_url}/_sim/orders/${number}/pay`],
    ["step_ask", `curl -sw '\\n' ${places.api_url}/orders/${number} ${bearer}`],
    ["step_refund", `curl -sw '\\n' ${places.api_url}/orders/${number}/refunds ${bearer} \\\n  ${json} \\\n  -d '{"out_refund_no":"${number}-refund","amount":{"refund":1},"reason":"cold"}'`],
  ];
  byId("steps").replaceChildren(...steps.map(([name, line]) => {
    const copied = async () => {
      await navigator.clipboard.writeText(line);
      copy.textContent = word("copied");
      setTimeout(() => { copy.textContent = word("copy"); }, 1500);
    };
    const copy = button(word("copy"), copied, { class: "small", "aria-label": word("copy_what", { what: word(name) }) });
    return make("div", { class: "line" }, make("p", {}, word(name)), make("pre", { tabindex: "0" }, line), copy);
  }));
}
