// The phone. It shows what the control calls tell and calls them when something is pressed. The
// event stream says what changed, and the list that shows it is fetched again; nothing is kept here
// that the simulator does not have. How a row looks is in the file that is named after it.

import { byId, pause, write } from "./dom.js";
import { faultRow } from "./faults.js";
import { asked, count, NEWEST, opening, panel } from "./lists.js";
import { beijing, chip, clock, span } from "./looks.js";
import { noticeRow } from "./notices.js";
import { ledgerBody, ledgerHead, orderCard, refundCard } from "./orders.js";
import { isStrange, requestRow } from "./requests.js";
import { alarm, call, Refused, say, tell } from "./talk.js";
import { violationRow } from "./violations.js";
import { faultText, t } from "./words.js";

const PAUSE_MS = 60; // changes this close together are fetched once
const RETRY_MS = 1000;

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

// Notices, requests, violations

async function loadNotices() {
  const { items, total } = await call("GET", `/_sim/notifications${asked("notices")}`);
  count("notices", total ? String(total) : "");
  losing.attempts = items.flatMap((row) => row.attempts).filter((attempt) => attempt.twist === "lost").length;
  drawLosing();
  panel("notices", items.reverse(), total, (row) => row.entered, noticeRow, live.notices.stale);
}

const LOSE_NEXT = "notice_lost_for_good";
const LOSE_ALL = "notice_lost";
const losing = { attempts: 0 };

function drawLosing() {
  const active = (name) => faults.items.find((row) => row.name === name)?.active ?? [];
  const next = active(LOSE_NEXT).reduce((sum, fault) => sum + (fault.count ?? 0), 0);
  byId("lose-all").setAttribute("aria-checked", String(active(LOSE_ALL).length > 0));
  const chips = [];
  if (next > 0) chips.push(chip(t(next === 1 ? "the next one is lost" : "the next {next} are lost", { next }), "wait"));
  if (losing.attempts > 0) chips.push(chip(t(losing.attempts === 1 ? "{attempts} attempt lost" : "{attempts} attempts lost", losing), "calm"));
  byId("losing").replaceChildren(...chips);
}

const requests = { items: [], total: 0 };

async function loadRequests() {
  Object.assign(requests, await call("GET", `/_sim/requests${asked("requests")}`));
  drawRequests();
}

function drawRequests() {
  const items = byId("only-refused").checked ? requests.items.filter(isStrange) : [...requests.items];
  const refused = requests.items.filter(isStrange).length;
  count("requests", requests.total ? String(requests.total) : "");
  byId("tab-requests").title = t("{refused} of the newest {newest} were refused or struck by a fault", { refused, newest: requests.items.length });
  panel("requests", items.reverse(), requests.total, (row) => row.entered, requestRow, live.requests.stale);
}

async function loadViolations() {
  const { items, total } = await call("GET", `/_sim/violations${asked("violations")}`);
  count("violations", total ? String(total) : "", total > 0);
  const numbered = items.map((row, at) => ({ ...row, place: total - items.length + at }));
  panel("violations", numbered.reverse(), total, (row) => row.place, violationRow, live.violations.stale);
}

// Faults

const faults = { items: [], hostility: 0, pressed: 0 };

async function loadFaults() {
  const { pressed } = faults;
  const answer = await call("GET", "/_sim/faults");
  // What was asked for before a press may be older than what the press was answered.
  if (faults.pressed !== pressed) return live.faults.stale();
  Object.assign(faults, answer);
  drawFaults();
}

/** Shows the faults as a press was answered: at once, so that the next press means the opposite. */
function redrawFaults(answer) {
  Object.assign(faults, answer, { pressed: faults.pressed + 1 });
  drawFaults();
}

function drawFaults() {
  const wanted = byId("find-fault").value.trim().toLowerCase();
  const fits = (row) => `${row.name} ${row.what} ${faultText(row.name, "")}`.toLowerCase().includes(wanted) && (!byId("only-on").checked || row.active.length > 0);
  const items = faults.items.filter(fits);
  const on = faults.items.filter((row) => row.active.length > 0).length;
  count("faults", on ? t("{on} on", { on }) : "");
  panel("faults", items, 0, (row) => row.name, (row) => faultRow(row, redrawFaults), live.faults.stale);
  if (document.activeElement !== byId("hostility")) byId("hostility").value = String(faults.hostility);
  write(byId("hostility-value"), faults.hostility.toFixed(2));
  drawLosing();
}

// Clock, knobs, the rest

async function loadClock() {
  const now = await call("GET", "/_sim/clock");
  clock.offset_ms = now.offset_s * 1000;
  clock.skew_ms = Math.round((Date.parse(now.real_time) - Date.now()) / 1000) * 1000;
  byId("ahead").hidden = now.offset_s === 0;
  write(byId("ahead"), t("{span} ahead", { span: span(clock.offset_ms) }));
  write(byId("speed"), now.speed === 1 ? "" : t("; schedules run {speed} times faster", now));
  tick();
  drawLedger();
}

let refundDelay = 5; // seconds, to go back to when refunds no longer wait
let pressing = Promise.resolve(); // the last press of the box, until the simulator has answered it

async function loadKnobs() {
  // The box shows a press at once. What is older than the press would undo it.
  const knobs = await upToThePress();
  byId("by-hand").checked = knobs.refund_delay_s === null;
  refundDelay = knobs.refund_delay_s ?? refundDelay;
}

async function upToThePress() {
  const last = pressing;
  await last.catch(() => {});
  const knobs = await call("GET", "/_sim/knobs");
  return last === pressing ? knobs : upToThePress();
}

async function loadHealth() {
  const health = await call("GET", "/_sim/healthz");
  write(byId("base-url"), health.base_url);
  alarm(health.journal ? t("The simulator cannot write its state any more: {journal}", health) : "");
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
    link("live", t("live"));
    Object.values(live).forEach((list) => list.stale());
  });
  for (const [name, lists] of Object.entries(TOLD)) {
    events.addEventListener(name, () => lists.forEach((list) => live[list].stale()));
  }
  events.onerror = () => {
    link("lost", t("lost the simulator, trying again"));
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

const move = (seconds) => tell(async () => {
  await call("POST", "/_sim/clock", { advance_s: seconds });
  say(t("Business time moved on by {span}.", { span: span(seconds * 1000) }));
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
  pressing = call("POST", "/_sim/knobs", { refund_delay_s: byHand ? null : refundDelay });
  // Also when it was refused: then the box has to go back.
  pressing.finally(live.knobs.stale).catch(() => {});
  await pressing;
  say(t(byHand ? "New refunds wait here until they are finished." : "New refunds finish by themselves."));
}));
byId("hostility").addEventListener("input", (event) => write(byId("hostility-value"), Number(event.target.value).toFixed(2)));
byId("hostility").addEventListener("change", (event) => tell(async () => {
  await call("POST", "/_sim/hostility", { hostility: Number(event.target.value) });
  say(t("Hostility is {value}.", event.target));
}));
byId("all-off").addEventListener("click", () => tell(async () => {
  redrawFaults(await call("DELETE", "/_sim/faults"));
  say(t("Every fault is off, and hostility is 0."));
}));
byId("lose-next").addEventListener("click", () => tell(async () => {
  redrawFaults(await call("POST", "/_sim/faults", { name: LOSE_NEXT, count: 1 }));
  say(t("The next notice will be lost, and every retry of it."));
}));
byId("lose-all").addEventListener("click", (event) => tell(async () => {
  const on = event.currentTarget.getAttribute("aria-checked") !== "true";
  redrawFaults(on ? await call("POST", "/_sim/faults", { name: LOSE_ALL }) : await call("DELETE", `/_sim/faults/${LOSE_ALL}`));
  say(t(on ? "Every attempt to send a notice is lost." : "Notices arrive again."));
}));
byId("alarm-close").addEventListener("click", () => alarm(""));
byId("find-fault").addEventListener("input", drawFaults);
byId("only-on").addEventListener("change", drawFaults);
byId("only-refused").addEventListener("change", drawRequests);

choose(byId(`tab-${location.hash.slice(1)}`) ?? tabs[0]);
setInterval(tick, 1000);
connect();
