// The phone. It shows what the control calls tell and calls them when something is pressed. The
// event stream says what changed, and the list that shows it is fetched again; nothing is kept here
// that the simulator does not have. Text from requests and orders is only ever text.

const NEWEST = 200; // rows of a long list, until all are asked for
const PAUSE_MS = 60; // changes this close together are fetched once
const RETRY_MS = 1000;
const SAID_MS = 6000;

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Makes an element. Children are elements or text; attributes that are false or absent are left out. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

// Control calls

class Refused extends Error {}

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    cache: "no-store",
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(said.message ?? `the simulator answered ${answer.status}`);
  return said;
}

const because = (error) => (error instanceof Refused ? error.message : "the simulator does not answer");

/**
 * Does what a button stands for: not twice at once, and a refusal is said where it happened, or, when
 * that place has gone meanwhile, where everything else is said.
 */
async function press(button, where, work) {
  // Not `disabled`, which would take the keyboard's place away.
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  where.textContent = "";
  try {
    await work();
  } catch (error) {
    where.textContent = because(error);
    where.refused = performance.now();
    if (!where.isConnected) say(where.textContent);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

let unsay;

/** Says what was done, for a while; screen readers read it out. */
function say(text) {
  clearTimeout(unsay);
  byId("said").textContent = text;
  unsay = setTimeout(() => byId("said").replaceChildren(), SAID_MS);
}

function alarm(text) {
  byId("alarm").hidden = text === "";
  write(byId("alarm-text"), text);
}

// How things are written

const yuan = (fen) => `¥${Math.trunc(fen / 100).toLocaleString("en")}.${String(fen % 100).padStart(2, "0")}`;
const BEIJING_MS = 8 * 3600 * 1000;
const beijing = (ms) => new Date(ms + BEIJING_MS).toISOString().slice(0, 19).replace("T", " ");

/** A time of a list: the day only when it is another one than the clock's. */
function moment(text) {
  if (!text) return make("span", {}, "–");
  const [day, time] = text.slice(0, 19).split("T");
  const short = day === beijing(clock.business()).slice(0, 10) ? time : `${day.slice(5)} ${time}`;
  return make("time", { datetime: text, title: `${day} ${time}, Beijing time` }, short);
}

function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (days > 1) return `${Math.round(seconds / 86400)} days`;
  if (hours > 1) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
  if (minutes > 1) return `${minutes} min`;
  return `${seconds} s`;
}

const TONES = {
  SUCCESS: "good", delivered: "good", NOTPAY: "wait", pending: "wait", PROCESSING: "wait", REFUND: "calm",
  CLOSED: "", not_sent: "", ABNORMAL: "bad", given_up: "bad",
};
const chip = (text, tone = TONES[text] ?? "") => make("span", { class: `chip ${tone}` }, text.replaceAll("_", " "));
const tradeType = (wire) => (wire === "MWEB" ? "H5" : wire);

function statusChip(status) {
  if (!status) return chip("no answer", "bad");
  return chip(String(status), status < 300 ? "good" : status < 500 ? "wait" : "bad");
}

function pairs(rows) {
  const list = make("dl", { class: "pairs" });
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", {}, name), make("dd", {}, value instanceof Node ? value : make("code", {}, String(value))));
  }
  return list;
}

// Lists whose rows stay the same elements while they are shown, so that the keyboard's place and
// what was opened survive a change.

function show(parent, items, keyOf, makeRow) {
  const rows = (parent.rows ??= new Map());
  const wanted = new Set(items.map(keyOf));
  let lostFocus = -1;
  for (const [key, row] of rows) {
    if (wanted.has(key)) continue;
    if (row.element.contains(document.activeElement)) lostFocus = [...parent.children].indexOf(row.element);
    row.element.remove();
    // Why a press was refused just now is still to be read, though what was pressed goes (somebody else paid).
    const wrong = row.element.querySelector(".wrong");
    if (wrong?.textContent && performance.now() - wrong.refused < SAID_MS) say(wrong.textContent);
    rows.delete(key);
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!rows.has(key)) rows.set(key, makeRow(item));
    const row = rows.get(key);
    const text = JSON.stringify(item);
    if (row.shown !== text) {
      row.shown = text;
      row.update(item);
    }
    if (row.element === place) place = place.nextElementSibling;
    else parent.insertBefore(row.element, place);
  }
  if (lostFocus >= 0) {
    focusIn(parent, lostFocus);
  }
}

/** Gives the keyboard a place in a list: the first control of the row here, or what the list is under. */
function focusIn(list, at) {
  const row = list.children[Math.min(at, list.children.length - 1)];
  (row?.querySelector("button, summary") ?? list.closest("section").querySelector("h2, [role=tab][aria-selected=true]"))?.focus();
}

/**
 * A row that opens: `head` and `body` answer what is shown, afresh at each change. It stands open while
 * `trouble` says so, until somebody opens or closes it.
 */
function opening(head, body, trouble = () => false) {
  let touched = false;
  const summary = make("summary", { onclick: () => (touched = true) });
  const inside = make("div", { class: "inside" });
  const details = make("details", {}, summary, inside);
  return {
    element: make("li", {}, details),
    update(item) {
      if (!touched) details.open = trouble(item);
      summary.replaceChildren(...head(item).filter(Boolean));
      inside.replaceChildren(...body(item).filter(Boolean));
    },
  };
}

/** Shows a panel's list, what to say when it is empty, and whether there is more. */
function panel(name, items, total, keyOf, makeRow, reload) {
  // Not the name alone: an address that ends in it would be a place to scroll to.
  const list = byId(`list-${name}`);
  const more = list.parentElement.querySelector(".more");
  show(list, items, keyOf, makeRow);
  list.parentElement.querySelector(".empty").hidden = items.length > 0;
  const focused = more.contains(document.activeElement);
  more.hidden = total <= NEWEST || full.has(name);
  if (more.hidden && focused) focusIn(list, 0);
  if (!more.firstChild) {
    const everything = make("button", { type: "button", class: "small", onclick: () => { full.add(name); reload(); } }, "Show all");
    more.append(make("span"), " ", everything);
  }
  write(more.firstChild, `The newest ${NEWEST} of ${total}.`);
}

const full = new Set();
const asked = (name, before = "?") => (full.has(name) ? "" : `${before}last=${NEWEST}`);

function count(name, text, bad = false) {
  const badge = byId(`tab-${name}`).querySelector(".count");
  write(badge, text);
  badge.classList.toggle("bad", bad);
}

// Orders and refunds

const ledger = { items: [], total: 0 };
// What waits is asked for by itself: it may be older than the newest rows of the ledger.
const unfinished = { orders: { items: [], total: 0 }, refunds: { items: [], total: 0 } };

async function loadLedger() {
  const [all, orders, refunds] = await Promise.all([
    call("GET", `/_sim/ledger${asked("ledger")}`),
    call("GET", `/_sim/ledger?open=orders${asked("waiting", "&")}`),
    call("GET", `/_sim/ledger?open=refunds${asked("refunds", "&")}`),
  ]);
  Object.assign(ledger, all);
  Object.assign(unfinished, { orders, refunds });
  drawLedger();
}

function drawLedger() {
  const waiting = unfinished.orders.items.filter((row) => Date.parse(row.payable_until) > clock.business());
  const late = unfinished.orders.items.length - waiting.length;
  const refunds = [...unfinished.refunds.items];
  panel("waiting", waiting.reverse(), unfinished.orders.total - late, (row) => `${row.mchid} ${row.out_trade_no}`, orderCard, live.ledger.stale);
  panel("refunds", refunds.reverse(), unfinished.refunds.total, (row) => `${row.mchid} ${row.out_refund_no}`, refundCard, live.ledger.stale);
  write(byId("waiting-count"), unfinished.orders.total > late ? String(unfinished.orders.total - late) : "");
  write(byId("refunds-count"), unfinished.refunds.total ? String(unfinished.refunds.total) : "");
  count("ledger", ledger.total ? String(ledger.total) : "");
  panel("ledger", [...ledger.items].reverse(), ledger.total, (row) => row.entered, () => opening(ledgerHead, ledgerBody), live.ledger.stale);
}

function orderCard(first) {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const text = make("span", { class: "text" });
  const amount = make("span", { class: "amount" });
  const about = make("p", { class: "about" });
  const left = make("span", { class: "left-to-pay" });
  const rest = make("div", { class: "inside" });
  const number = first.out_trade_no;
  const act = (name, done) => (event) =>
    press(event.currentTarget, wrong, async () => {
      await call("POST", `/_sim/orders/${encodeURIComponent(number)}/${name}`, { mchid: first.mchid });
      say(done);
    });
  const button = (label, name, done, style = "") =>
    make("button", { type: "button", class: style, "aria-label": `${label} ${number}`, onclick: act(name, done) }, label);
  const element = make("li", {},
    make("p", { class: "what" }, text, amount),
    about,
    make("div", { class: "row" },
      button("Pay", "pay", `Paid ${number}; the notice is on its way.`, "pay"),
      button("Fail", "fail", `The payment of ${number} failed; it can be tried again.`),
      button("Cancel", "cancel", `The payer cancelled ${number}; it can be tried again.`)),
    wrong,
    make("details", {}, make("summary", {}, "Details"), rest));
  return {
    element,
    tick() {
      write(left, `${span(this.until - clock.business())} left`);
    },
    update(row) {
      this.until = Date.parse(row.payable_until);
      write(text, row.description);
      write(amount, yuan(row.amount.total));
      const tries = row.failed_attempts;
      about.replaceChildren(
        ...[chip(tradeType(row.trade_type), "calm"), make("code", {}, number),
          make("span", {}, "payable until ", moment(row.payable_until), " · ", left),
          tries ? chip(`${tries} failed ${tries === 1 ? "attempt" : "attempts"}`, "wait") : null].filter(Boolean));
      rest.replaceChildren(orderPairs(row));
      this.tick();
    },
  };
}

const orderPairs = (row) => pairs([
  ["placed", moment(row.created_at)], ["payable until", moment(row.payable_until)], ["paid", row.success_time && moment(row.success_time)],
  ["transaction_id", row.transaction_id], ["merchant", row.mchid], ["sub-merchant", row.sub_mchid], ["appid", row.appid],
  ["openid", row.openid], ["attach", row.attach], ["notify_url", row.notify_url],
  ["prepay_id", row.prepay_id], ["code_url", row.code_url], ["h5_url", row.h5_url],
]);

function refundCard(first) {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const about = make("p", { class: "about" });
  const row = make("div", { class: "row" });
  const number = first.out_refund_no;
  const act = (label, name, done, style = "") =>
    make("button", {
      type: "button", class: style, "aria-label": `${label} ${number}`,
      onclick: (event) => press(event.currentTarget, wrong, async () => {
        await call("POST", `/_sim/refunds/${encodeURIComponent(number)}/${name}`, { mchid: first.mchid });
        say(`Refund ${number} ${done}; the notice is on its way.`);
      }),
    }, label);
  const complete = act("Complete", "complete", "is complete", "pay");
  const close = act("Close", "close", "is closed");
  const abnormal = act("Abnormal", "abnormal", "is abnormal");
  row.append(complete, close, abnormal);
  return {
    element: make("li", {},
      make("p", { class: "what" }, make("code", { class: "text" }, number), make("span", { class: "amount" }, yuan(first.amount.refund))),
      about, row, wrong),
    update(refund) {
      abnormal.hidden = refund.status === "ABNORMAL";
      about.replaceChildren(
        ...[chip(refund.status), "of ", make("code", {}, refund.out_trade_no),
          refund.due_at ? make("span", {}, "the bank finishes it at ", moment(refund.due_at)) : null].filter(Boolean));
    },
  };
}

function ledgerHead(row) {
  const order = row.kind === "order";
  return [
    moment(row.created_at),
    make("span", { class: "main" }, make("code", {}, order ? row.out_trade_no : row.out_refund_no), " ", make("span", { class: "end" }, order ? row.description : `refund of ${row.out_trade_no}`)),
    order ? chip(tradeType(row.trade_type), "calm") : chip("refund", "calm"),
    make("span", {}, yuan(order ? row.amount.total : row.amount.refund)),
    chip(order ? row.trade_state : row.status),
  ];
}

function ledgerBody(row) {
  if (row.kind === "order") return [orderPairs(row)];
  return [pairs([
    ["asked", moment(row.created_at)], ["finished", row.success_time && moment(row.success_time)], ["due", row.due_at && moment(row.due_at)],
    ["refund_id", row.refund_id], ["transaction_id", row.transaction_id], ["merchant", row.mchid], ["notify_url", row.notify_url],
  ])];
}

// Notices, requests, violations

async function loadNotices() {
  const { items, total } = await call("GET", `/_sim/notifications${asked("notices")}`);
  count("notices", total ? String(total) : "");
  losing.attempts = items.flatMap((row) => row.attempts).filter((attempt) => attempt.twist === "lost").length;
  drawLosing();
  panel("notices", items.reverse(), total, (row) => row.entered, () => opening(noticeHead, noticeBody, inTrouble), live.notices.stale);
}

/** Whether somebody should look at a notice: it came to nothing, or its latest attempt did. */
function inTrouble(row) {
  if (row.state === "delivered") return false;
  return row.state !== "pending" || row.attempts.length > 0;
}

const LOSE_NEXT = "notice_lost_for_good";
const LOSE_ALL = "notice_lost";
const losing = { attempts: 0 };

function drawLosing() {
  const active = (name) => faults.items.find((row) => row.name === name)?.active ?? [];
  const next = active(LOSE_NEXT).reduce((sum, fault) => sum + (fault.count ?? 0), 0);
  byId("lose-all").setAttribute("aria-checked", String(active(LOSE_ALL).length > 0));
  const chips = [];
  if (next > 0) chips.push(chip(next === 1 ? "the next one is lost" : `the next ${next} are lost`, "wait"));
  if (losing.attempts > 0) chips.push(chip(`${losing.attempts} ${losing.attempts === 1 ? "attempt" : "attempts"} lost`, "calm"));
  byId("losing").replaceChildren(...chips);
}

const noticeHead = (row) => [
  moment(row.created_at),
  make("span", { class: "main" }, make("strong", {}, row.event_type), " ", make("code", {}, row.out_refund_no ?? row.out_trade_no)),
  row.invented ? chip("a fault’s invention", "wait") : null,
  row.lost_for_good ? chip("lost for good", "wait") : null,
  row.attempts.length > 1 ? make("span", { class: "end" }, `${row.attempts.length} attempts`) : null,
  row.next_attempt_at ? make("span", { class: "end" }, "next attempt ", moment(row.next_attempt_at)) : null,
  chip(row.state),
];

function noticeBody(row) {
  const table = make("table", { class: "attempts" },
    make("thead", {}, make("tr", {}, ...["Time", "Status", "Took", "Verdict"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...row.attempts.map((attempt) => make("tr", {},
      make("td", {}, moment(attempt.at)),
      make("td", {}, statusChip(attempt.status)),
      make("td", { class: "number" }, `${attempt.took_ms} ms`),
      make("td", {}, attempt.verdict)))));
  return [
    row.why ? make("p", { class: "explanation" }, row.why) : null,
    row.attempts.length ? make("div", { class: "scroll" }, table) : null,
    make("p", { class: "hint" }, "to ", make("code", {}, row.url || "nowhere")),
  ];
}

const requests = { items: [], total: 0 };

async function loadRequests() {
  Object.assign(requests, await call("GET", `/_sim/requests${asked("requests")}`));
  drawRequests();
}

function drawRequests() {
  const strange = (row) => row.status === 0 || row.status >= 300 || row.fault;
  const items = byId("only-refused").checked ? requests.items.filter(strange) : [...requests.items];
  const refused = requests.items.filter(strange).length;
  count("requests", requests.total ? String(requests.total) : "");
  byId("tab-requests").title = `${refused} of the newest ${requests.items.length} were refused or struck by a fault`;
  panel("requests", items.reverse(), requests.total, (row) => row.entered, () => opening(requestHead, requestBody), live.requests.stale);
}

const requestHead = (row) => [
  moment(row.at),
  make("span", { class: "main" }, make("strong", {}, row.method), " ", make("code", {}, row.path)),
  row.fault ? chip(row.fault, "wait") : null,
  make("span", { class: "end" }, row.verdict),
  row.status ? statusChip(row.status) : chip("dropped", "bad"),
];

const requestBody = (row) => [
  row.explanation ? make("p", { class: "explanation" }, row.signed_texts ? row.explanation.split("\n")[0] : row.explanation) : null,
  row.signed_texts ? make("div", { class: "scroll" }, sideBySide(row.signed_texts)) : null,
  pairs([
    ["query", row.query], ["operation", row.operation], ["order", row.out_trade_no], ["serial_no", row.serial_no], ["answer", row.answer],
  ]),
];

const LINES = ["method", "path", "timestamp", "nonce", "body"];

/** The five lines of a signed text, each with its ending; the body keeps the line feeds inside it. */
function linesOf(text) {
  const lines = [];
  let rest = text;
  while (lines.length < 4 && rest.includes("\n")) {
    const end = rest.indexOf("\n") + 1;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...lines, rest];
}

/** What the server built beside what the client signed; where they part is marked. */
function sideBySide({ server, client }) {
  const [ours, theirs] = [linesOf(server), client === null ? [] : linesOf(client)];
  const body = make("tbody");
  for (let at = 0; at < Math.max(ours.length, theirs.length); at += 1) {
    const [one, other] = [ours[at], theirs[at]];
    const differs = client !== null && one !== other;
    const part = differs ? partOf(one ?? "", other ?? "") : [0, 0];
    body.append(make("tr", { class: differs ? "differs" : "" },
      make("th", { scope: "row" }, LINES[at] ?? "more"),
      make("td", { "data-side": "server" }, ...visible(one, part)),
      make("td", { "data-side": "you" }, ...(client === null && at === 0
        ? [make("span", { class: "nothing" }, "not known: no likely mistake gives this signature")]
        : client === null ? [] : visible(other, part)))));
  }
  return make("table", { class: "texts" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "line"), make("th", { scope: "col" }, "the server built"), make("th", { scope: "col" }, "you signed"))),
    body);
}

/** How many characters two texts share at their beginning and at their end. */
function partOf(one, other) {
  const shortest = Math.min(one.length, other.length);
  let front = 0;
  while (front < shortest && one[front] === other[front]) front += 1;
  let back = 0;
  while (back < shortest - front && one.at(-1 - back) === other.at(-1 - back)) back += 1;
  return [front, back];
}

function visible(text, [front, back]) {
  if (text === undefined || text === "") return [make("span", { class: "nothing" }, "nothing")];
  const signs = (part) => part.replaceAll("\r", "␍").replaceAll("\n", "⏎");
  const whole = front === 0 && back === 0;
  const middle = text.slice(front, text.length - back);
  if (whole) return [signs(text)];
  return [signs(text.slice(0, front)), middle ? make("mark", {}, signs(middle)) : null, signs(text.slice(text.length - back))].filter(Boolean);
}

async function loadViolations() {
  const { items, total } = await call("GET", `/_sim/violations${asked("violations")}`);
  count("violations", total ? String(total) : "", total > 0);
  const numbered = items.map((row, at) => ({ ...row, place: total - items.length + at }));
  panel("violations", numbered.reverse(), total, (row) => row.place, () => opening(violationHead, violationBody, () => true), live.violations.stale);
}

const violationHead = (row) => [
  moment(row.at),
  make("span", { class: "main" }, make("strong", {}, row.kind.replaceAll("_", " ")), " ", make("code", {}, row.out_trade_no ?? "")),
  row.fault ? chip(row.fault, "wait") : null,
];
const violationBody = (row) => [make("p", {}, row.explanation)];

// Faults

const faults = { items: [], hostility: 0 };

async function loadFaults() {
  Object.assign(faults, await call("GET", "/_sim/faults"));
  drawFaults();
}

function drawFaults() {
  const wanted = byId("find-fault").value.trim().toLowerCase();
  const fits = (row) => `${row.name} ${row.what}`.toLowerCase().includes(wanted) && (!byId("only-on").checked || row.active.length > 0);
  const items = faults.items.filter(fits);
  const on = faults.items.filter((row) => row.active.length > 0).length;
  count("faults", on ? `${on} on` : "");
  panel("faults", items, 0, (row) => row.name, faultRow, live.faults.stale);
  if (document.activeElement !== byId("hostility")) byId("hostility").value = String(faults.hostility);
  write(byId("hostility-value"), faults.hostility.toFixed(2));
  drawLosing();
}

function faultRow(first) {
  const wrong = make("span", { class: "wrong", role: "alert" });
  const state = make("span", { class: "about" });
  const rate = make("input", { type: "number", min: "0", max: "100", step: "any", placeholder: "100", "aria-label": `Rate of ${first.name} in percent` });
  const times = make("input", { type: "number", min: "1", step: "1", placeholder: "∞", "aria-label": `How often ${first.name} strikes at most` });
  const choice = make("span", { class: "row" }, make("label", {}, rate, "%"), make("label", {}, "at most", times, "times"));
  const toggle = make("button", {
    type: "button", role: "switch", "aria-label": first.name,
    onclick: () => press(toggle, wrong, async () => {
      if (toggle.getAttribute("aria-checked") === "true") {
        await call("DELETE", `/_sim/faults/${first.name}`);
        say(`${first.name} is off.`);
      } else {
        const fault = { name: first.name };
        if (rate.value !== "") fault.rate = Number(rate.value) / 100;
        if (times.value !== "") fault.count = Number(times.value);
        await call("POST", "/_sim/faults", fault);
        say(`${first.name} is on.`);
      }
    }),
  });
  return {
    element: make("li", {}, toggle,
      make("div", { class: "what-it-does" },
        make("p", {}, make("code", { class: "name" }, first.name), state),
        make("p", { class: "does" }, first.what),
        wrong),
      choice),
    update(row) {
      toggle.setAttribute("aria-checked", String(row.active.length > 0));
      choice.hidden = row.active.length > 0;
      const chips = row.active.map((active) => chip([
        active.rate === null ? "always" : `${Math.round(active.rate * 1000) / 10} %`,
        active.count === null ? "" : `${active.count} left`,
        active.out_trade_no ? `order ${active.out_trade_no}` : "",
        active.operation ? `only ${active.operation}` : "",
      ].filter(Boolean).join(", "), "wait"));
      if (row.rate_by_hostility > 0) chips.push(chip(`${Math.round(row.rate_by_hostility * 1000) / 10} % by hostility`));
      if (row.struck > 0) chips.push(chip(`struck ${row.struck} ${row.struck === 1 ? "time" : "times"}`, "calm"));
      state.replaceChildren(...chips);
    },
  };
}

// Clock, knobs, the rest

const clock = {
  offset_ms: 0,
  skew_ms: 0,
  real() {
    return Date.now() + this.skew_ms;
  },
  business() {
    return this.real() + this.offset_ms;
  },
};

async function loadClock() {
  const now = await call("GET", "/_sim/clock");
  clock.offset_ms = now.offset_s * 1000;
  clock.skew_ms = Math.round((Date.parse(now.real_time) - Date.now()) / 1000) * 1000;
  byId("ahead").hidden = now.offset_s === 0;
  write(byId("ahead"), `${span(clock.offset_ms)} ahead`);
  write(byId("speed"), now.speed === 1 ? "" : `; schedules run ${now.speed} times faster`);
  tick();
  drawLedger();
}

let refundDelay = 5; // seconds, to go back to when refunds no longer wait

async function loadKnobs() {
  const knobs = await call("GET", "/_sim/knobs");
  byId("by-hand").checked = knobs.refund_delay_s === null;
  refundDelay = knobs.refund_delay_s ?? refundDelay;
}

async function loadHealth() {
  const health = await call("GET", "/_sim/healthz");
  write(byId("base-url"), health.base_url);
  alarm(health.journal ? `The simulator cannot write its state any more: ${health.journal}` : "");
}

function tick() {
  write(byId("business-time"), beijing(clock.business()));
  write(byId("real-time"), beijing(clock.real()));
  let ended = false;
  for (const row of byId("list-waiting").rows?.values() ?? []) {
    row.tick();
    ended ||= row.until <= clock.business();
  }
  if (!ended) return;
  drawLedger();
  // There may be older ones behind those that were shown.
  if (unfinished.orders.total > NEWEST) live.ledger.stale();
}

// Staying up to date: what changed is fetched again, once for changes close together, and again
// when something changed while it was being fetched.

function upToDate(load) {
  let stale = false;
  let busy = false;
  const work = async () => {
    busy = true;
    while (stale) {
      await pause(PAUSE_MS);
      stale = false;
      try {
        await load();
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof Refused)) console.error(error);
        stale = true;
        await pause(RETRY_MS);
      }
    }
    busy = false;
  };
  return {
    stale() {
      stale = true;
      if (!busy) work();
    },
  };
}

const live = {
  ledger: upToDate(loadLedger),
  notices: upToDate(loadNotices),
  requests: upToDate(loadRequests),
  violations: upToDate(loadViolations),
  faults: upToDate(loadFaults),
  clock: upToDate(loadClock),
  knobs: upToDate(loadKnobs),
  health: upToDate(loadHealth),
};

const TOLD = {
  order: ["ledger"], refund: ["ledger"], notice: ["notices"], request: ["requests"], violation: ["violations"],
  fault: ["faults"], clock: ["clock", "ledger"], knob: ["knobs"], merchant: ["health"],
};

function link(state, text) {
  byId("link").dataset.state = state;
  write(byId("link"), text);
}

function connect() {
  const events = new EventSource("/_sim/events");
  // The simulator listens for changes before it says hello, so everything fetched after it is as
  // new as the stream.
  events.addEventListener("hello", () => {
    link("live", "live");
    Object.values(live).forEach((list) => list.stale());
  });
  for (const [name, lists] of Object.entries(TOLD)) {
    events.addEventListener(name, () => lists.forEach((list) => live[list].stale()));
  }
  events.onerror = () => {
    link("lost", "lost the simulator, trying again");
    // Some browsers give up when nobody listens on the port; others try again themselves.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

// Tabs: one place for the Tab key, arrows between them, and the address remembers which.

const tabs = [...document.querySelectorAll('[role="tab"]')];

function choose(tab, focus = false) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  history.replaceState(null, "", `#${tab.id.slice("tab-".length)}`);
  if (focus) tab.focus();
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(tabs[(to + tabs.length) % tabs.length], true);
  });
}

// What else can be pressed

async function tell(work) {
  try {
    await work();
    alarm("");
  } catch (error) {
    alarm(because(error));
  }
}

const move = (seconds) => tell(async () => {
  await call("POST", "/_sim/clock", { advance_s: seconds });
  say(`Business time moved on by ${span(seconds * 1000)}.`);
});

byId("moves").addEventListener("click", (event) => {
  const seconds = event.target.dataset.seconds;
  if (seconds) move(Number(seconds));
});
byId("move").addEventListener("submit", (event) => {
  event.preventDefault();
  move(Number(byId("move-count").value) * Number(byId("move-unit").value));
});
byId("by-hand").addEventListener("change", (event) => tell(async () => {
  const byHand = event.target.checked;
  await call("POST", "/_sim/knobs", { refund_delay_s: byHand ? null : refundDelay });
  say(byHand ? "New refunds wait here until they are finished." : "New refunds finish by themselves.");
}));
byId("hostility").addEventListener("input", (event) => write(byId("hostility-value"), Number(event.target.value).toFixed(2)));
byId("hostility").addEventListener("change", (event) => tell(async () => {
  await call("POST", "/_sim/hostility", { hostility: Number(event.target.value) });
  say(`Hostility is ${event.target.value}.`);
}));
byId("all-off").addEventListener("click", () => tell(async () => {
  await call("DELETE", "/_sim/faults");
  say("Every fault is off, and hostility is 0.");
}));
byId("lose-next").addEventListener("click", () => tell(async () => {
  await call("POST", "/_sim/faults", { name: LOSE_NEXT, count: 1 });
  say("The next notice will be lost, and every retry of it.");
}));
byId("lose-all").addEventListener("click", (event) => tell(async () => {
  const on = event.currentTarget.getAttribute("aria-checked") !== "true";
  const now = on ? await call("POST", "/_sim/faults", { name: LOSE_ALL }) : await call("DELETE", `/_sim/faults/${LOSE_ALL}`);
  // At once, so that the next press means the opposite.
  Object.assign(faults, now);
  drawFaults();
  say(on ? "Every attempt to send a notice is lost." : "Notices arrive again.");
}));
byId("alarm-close").addEventListener("click", () => alarm(""));
byId("find-fault").addEventListener("input", drawFaults);
byId("only-on").addEventListener("change", drawFaults);
byId("only-refused").addEventListener("change", drawRequests);

choose(byId(`tab-${location.hash.slice(1)}`) ?? tabs[0]);
setInterval(tick, 1000);
connect();
