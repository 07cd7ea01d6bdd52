// What really happens: every entry newest first, what is looked for, and one order's timeline, oldest first.

import { button, byId, forget, make, show, write } from "./elements.js";
import { entryRow } from "./entry.js";
import { id } from "./written.js";
import { word } from "./words.js";

const PAGE = 40;
const KINDS = ["api", "wechatpay", "notice", "table", "event"];

let entries = [];
let shown = PAGE;
const hidden = new Set();
/** The order whose timeline is told. */
let order = null;
let show_tab = () => {};

export function start(openTab) {
  show_tab = openTab;
  for (const kind of KINDS) {
    const toggle = button("", () => {
      if (!hidden.delete(kind)) hidden.add(kind);
      draw();
    }, { class: `small kind ${kind}`, "data-kind": kind });
    byId("kinds").append(toggle);
  }
  byId("find").addEventListener("input", () => {
    shown = PAGE;
    draw();
  });
  byId("more").append(make("span"), " ", button("", () => {
    const first = Math.min(shown, byId("entries").children.length);
    shown += PAGE;
    draw();
    byId("entries").children[first]?.querySelector("summary")?.focus();
  }, { class: "small" }));
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
}

function fromAddress() {
  const named = /^#order=(.+)$/.exec(location.hash);
  order = named ? decodeURIComponent(named[1]) : null;
  shown = PAGE;
  draw();
}

/** Tells one order's timeline. */
export function tell(number) {
  show_tab("timeline");
  location.hash = `order=${encodeURIComponent(number)}`;
  // Beside the shop it is in sight already; below it, it is brought there.
  if (byId("happened").getBoundingClientRect().top > window.innerHeight / 2) byId("story-of").scrollIntoView({ block: "start" });
  byId("story-of").querySelector("button")?.focus({ preventScroll: true });
}

function tellEverything() {
  history.replaceState(null, "", location.pathname);
  fromAddress();
  byId("find").focus({ preventScroll: true });
}

/** Takes what happened since the last time. */
export function add(fresh) {
  if (fresh.length === 0) return;
  entries = [...entries, ...fresh].sort((one, other) => one.at_ms - other.at_ms || one.n - other.n);
  draw();
}

/** Forgets everything: the stack was started anew. */
export function empty() {
  entries = [];
  forget(byId("entries"));
}

export const newest = () => entries.reduce((newest, { n }) => Math.max(newest, n), 0);
export const lostSince = (ms) => entries.some((entry) => entry.lost && entry.at_ms >= ms - 5000);

const texts = new Map();
/** What an entry is looked for by. */
function text(entry) {
  if (!texts.has(entry.n)) texts.set(entry.n, JSON.stringify(entry).toLowerCase());
  return texts.get(entry.n);
}

export function draw() {
  for (const toggle of byId("kinds").children) {
    write(toggle, word(`kind_${toggle.dataset.kind}`));
    toggle.setAttribute("aria-pressed", String(!hidden.has(toggle.dataset.kind)));
  }
  const wanted = byId("find").value.trim().toLowerCase();
  const fitting = entries.filter((entry) =>
    !hidden.has(entry.kind) && (order === null || entry.order === order) && (wanted === "" || text(entry).includes(wanted)));
  const list = order === null ? fitting.slice(-shown).reverse() : fitting.slice(0, shown);
  show(byId("entries"), list, (entry) => entry.n, entryRow);
  byId("nothing-happened").hidden = list.length > 0;
  write(byId("nothing-happened"), word(entries.length === 0 ? "nothing_yet" : "nothing_fits"));
  byId("more").hidden = fitting.length <= list.length;
  write(byId("more").firstChild, word("shown_of", { n: list.length, total: fitting.length }));
  write(byId("more").lastChild, word("show_more"));
  drawStoryOf();
}

function drawStoryOf() {
  const place = byId("story-of");
  place.hidden = order === null;
  byId("entries").classList.toggle("of-one", order !== null);
  const look = `${order} ${word("story_title")}`;
  if (order === null || place.dataset.look === look) return;
  place.dataset.look = look;
  place.replaceChildren(
    make("p", {}, make("strong", {}, word("story_title")), " ", id(order), " ", make("span", { class: "quiet" }, word("oldest_first"))),
    button(word("whole_story"), tellEverything, { class: "small" }));
}

export function forgetRows() {
  forget(byId("entries"));
  delete byId("story-of").dataset.look;
}
