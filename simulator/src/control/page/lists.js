// Lists whose rows stay the same elements while they are shown, so that the keyboard's place and
// what was opened survive a change.

import { byId, make, put, write } from "./dom.js";
import { SAID_MS, say } from "./talk.js";
import { t } from "./words.js";

/** Rows of a long list, until all are asked for. */
export const NEWEST = 200;

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
 * `trouble` says so, until somebody opens or closes it. `opened` is told when it is opened.
 */
export function opening(head, body, trouble = () => false, opened = () => {}) {
  let touched = false;
  const summary = make("summary", { onclick: () => (touched = true) });
  const inside = make("div", { class: "inside" });
  const details = make("details", { ontoggle: () => details.open && opened() }, summary, inside);
  return {
    element: make("li", {}, details),
    update(item) {
      if (!touched) details.open = trouble(item);
      summary.replaceChildren(...head(item).filter(Boolean));
      put(inside, body(item).filter(Boolean));
    },
  };
}

/** Shows a panel's list, what to say when it is empty, and whether there is more. */
export function panel(name, items, total, keyOf, makeRow, reload) {
  // Not the name alone: an address that ends in it would be a place to scroll to.
  const list = byId(`list-${name}`);
  const more = list.parentElement.querySelector(".more");
  show(list, items, keyOf, makeRow);
  list.parentElement.querySelector(".empty").hidden = items.length > 0;
  const focused = more.contains(document.activeElement);
  more.hidden = total <= NEWEST || full.has(name);
  if (more.hidden && focused) focusIn(list, 0);
  if (!more.firstChild) {
    const everything = make("button", { type: "button", class: "small", onclick: () => { full.add(name); reload(); } }, t("Show all"));
    more.append(make("span"), " ", everything);
  }
  write(more.firstChild, t("The newest {newest} of {total}.", { newest: NEWEST, total }));
}

const full = new Set();
export const asked = (name, before = "?") => (full.has(name) ? "" : `${before}last=${NEWEST}`);

export function count(name, text, bad = false) {
  const badge = byId(`tab-${name}`).querySelector(".count");
  write(badge, text);
  badge.classList.toggle("bad", bad);
}
