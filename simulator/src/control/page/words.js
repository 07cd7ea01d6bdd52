// The page's language: English as it is written, or Chinese by zh.js. What the simulator answers is English
// too; its usual sentences are known to zh.js, and others are shown as they came.

import { byId, make, write } from "./dom.js";
import { FAULTS, SENTENCES, WORDS } from "./zh.js";

const KEPT = "language";
const asked = new URLSearchParams(location.search).get("lang");

/** What the browser lets the page keep: nothing, where its owner forbids it. */
function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

const wanted = asked ?? kept() ?? navigator.language;

/** `zh` or `en`. */
export const language = wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
const chinese = language === "zh";

/** A text of the page in its language; `{name}` stands for a value. */
export function t(text, values = {}) {
  const said = chinese ? (WORDS[text] ?? text) : text;
  return said.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A sentence that the simulator said, as an element. */
export function told(sentence) {
  if (!chinese) return make("span", {}, sentence);
  const said = inChinese(sentence);
  return said === null ? make("span", { lang: "en" }, sentence) : make("span", {}, said);
}

/** A sentence that the simulator said, as text. */
export const toldText = (sentence) => (chinese ? (inChinese(sentence) ?? sentence) : sentence);

function inChinese(sentence) {
  if (/^[^a-zA-Z]*$/.test(sentence)) return sentence;
  for (const [pattern, said] of SENTENCES) {
    const found = sentence.match(pattern);
    if (found) return said.replace(/\$(\d)/g, (_, at) => toldText(found[at] ?? ""));
  }
  return WORDS[sentence] ?? null;
}

/** What a fault does. */
export const faultText = (name, english) => (chinese ? (FAULTS[name] ?? english) : english);

const LABELS = ["aria-label", "placeholder", "title"];

/** Puts what index.html says into the page's language. */
function translatePage() {
  const spoken = (text) => WORDS[text.trim().replace(/\s+/g, " ")];
  document.documentElement.lang = "zh-CN";
  document.title = spoken(document.title) ?? document.title;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const said = spoken(texts.currentNode.data);
    if (said !== undefined) texts.currentNode.data = said;
  }
  for (const name of LABELS) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const said = spoken(element.getAttribute(name));
      if (said !== undefined) element.setAttribute(name, said);
    }
  }
}

if (chinese) translatePage();

const other = byId("language");
write(other, chinese ? "English" : "中文");
other.lang = chinese ? "en" : "zh-CN";
other.addEventListener("click", () => {
  const next = chinese ? "en" : "zh";
  const address = new URL(location.href);
  address.searchParams.delete("lang");
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    address.searchParams.set("lang", next);
  }
  // Everything is drawn again, and the place of the keyboard is found again by page.js.
  history.replaceState({ focus: other.id }, "", address);
  location.reload();
});
if (history.state?.focus === other.id) other.focus();
