// The console: looks twice a second at what happened and at both books, and shows it. Nothing is kept here
// that the stack does not have.

import * as books from "./books.js";
import * as calls from "./calls.js";
import * as clock from "./clock.js";
import { byId } from "./elements.js";
import * as orders from "./orders.js";
import * as phone from "./phone.js";
import * as refunds from "./refunds.js";
import * as shop from "./shop.js";
import * as terminal from "./terminal.js";
import * as timeline from "./timeline.js";
import { switchLanguage, word, writeWords } from "./words.js";

const LOOK_EVERY_MS = 500;

let known = null;
let last = 0;
let looking = null;

/** Looks at everything; whoever asks meanwhile gets the look that follows. */
function look() {
  const before = looking ?? Promise.resolve();
  const next = before.then(lookOnce).finally(() => {
    if (looking === next) looking = null;
  });
  looking = next;
  return next;
}

async function lookOnce() {
  try {
    const [told, compared] = await Promise.all([calls.story(last), calls.books(), clock.look(), phone.look()]);
    if (told.last < last) {
      // The stack was started anew, and numbers from the beginning.
      timeline.empty();
      last = 0;
      return;
    }
    last = told.last;
    timeline.add(told.entries);
    known = compared;
    draw();
    const since = byId("losing").dataset.since;
    if (since && timeline.lostSince(Number(since))) phone.lost();
    byId("alarm").hidden = true;
  } catch (error) {
    if (!(error instanceof calls.Refused || error instanceof calls.Silent)) throw error;
    byId("alarm").textContent = error instanceof calls.Silent ? word("silent") : error.message;
    byId("alarm").hidden = false;
  }
}

function draw(afresh = false) {
  if (known === null) return;
  books.draw(known);
  orders.draw(known.orders);
  refunds.draw(known.orders);
  shop.look(known.orders);
  terminal.draw(known, afresh);
}

// Tabs

const TABS = ["timeline", "books", "terminal"];

function openTab(name) {
  for (const tab of TABS) {
    const chosen = tab === name;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
    byId(`${tab}-panel`).hidden = !chosen;
  }
}

function startTabs() {
  for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => openTab(name));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const at = TABS.findIndex((name) => byId(`tab-${name}`) === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const name = TABS[(to + TABS.length) % TABS.length];
    openTab(name);
    byId(`tab-${name}`).focus();
  });
  openTab("timeline");
}

function write() {
  writeWords();
  byId("language").textContent = word("other_language");
  byId("language").lang = word("other_lang");
}

byId("language").addEventListener("click", () => {
  switchLanguage();
  for (const part of [books, orders, refunds, shop, timeline]) part.forgetRows();
  write();
  clock.draw();
  shop.draw();
  phone.draw(true);
  timeline.draw();
  draw(true);
});

write();
startTabs();
clock.start(look);
orders.start(look);
phone.start(look);
refunds.start(look);
shop.start(look);
timeline.start(openTab);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});

shop.load().catch(() => {});
shop.draw();
for (;;) {
  // A mistake of the page's own is told, and the next look may go well.
  if (!document.hidden) await look().catch((error) => console.error(error));
  await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
}
