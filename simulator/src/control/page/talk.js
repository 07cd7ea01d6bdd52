// Talking: control calls to the simulator, and what is said to whoever looks.

import { byId, make, write } from "./dom.js";
import { t, toldText } from "./words.js";

export const SAID_MS = 6000;

/** A refusal of a control call, in the page's language. */
export class Refused extends Error {}

/** Makes a control call and gives its answer. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    cache: "no-store",
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(said.message ? toldText(said.message) : t("the simulator answered {status}", { status: answer.status }));
  return said;
}

/** What to say of a control call that failed. */
export const because = (error) => (error instanceof Refused ? error.message : t("the simulator does not answer"));

/**
 * Does what a button stands for: not twice at once, and a refusal is said where it happened, or, when
 * that place has gone meanwhile, where everything else is said.
 */
export async function press(button, where, work) {
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
export function say(text) {
  clearTimeout(unsay);
  byId("said").textContent = text;
  unsay = setTimeout(() => byId("said").replaceChildren(), SAID_MS);
}

/** Says what is wrong, until it is closed or right again. */
export function alarm(text) {
  byId("alarm").hidden = text === "";
  write(byId("alarm-text"), text);
}

/** Does something that belongs to no row. */
export async function tell(work) {
  try {
    await work();
    alarm("");
  } catch (error) {
    alarm(because(error));
  }
}

/** Copies a text. Browsers lend the clipboard to safe addresses only, so there is an older way too. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "sr" });
    area.value = text;
    const place = document.activeElement;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    place?.focus();
  }
}

/** A button that copies what `text` gives. */
export const copier = (label, what, text) =>
  make("button", {
    type: "button", class: "small", "aria-label": `${label}: ${what}`,
    onclick: async () => {
      await copy(text());
      say(t("Copied: {what}", { what }));
    },
  }, label);
