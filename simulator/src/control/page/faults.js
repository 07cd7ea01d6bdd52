// A fault: its switch, how often it strikes, and what it did.

import { make } from "./dom.js";
import { chip } from "./looks.js";
import { call, press, say } from "./talk.js";
import { faultText, t } from "./words.js";

/** The row of a fault; `redraw` shows all of them as a call answered them. */
export function faultRow(first, redraw) {
  const wrong = make("span", { class: "wrong", role: "alert" });
  const state = make("span", { class: "about" });
  const rate = make("input", { type: "number", min: "0", max: "100", step: "any", placeholder: "100", "aria-label": t("Rate of {name} in percent", first) });
  const times = make("input", { type: "number", min: "1", step: "1", placeholder: "∞", "aria-label": t("How often {name} strikes at most", first) });
  const choice = make("span", { class: "row" }, make("label", {}, rate, "%"), make("label", {}, t("at most"), times, t("times")));
  const toggle = make("button", {
    type: "button", role: "switch", "aria-label": first.name,
    onclick: () => press(toggle, wrong, async () => {
      if (toggle.getAttribute("aria-checked") === "true") {
        redraw(await call("DELETE", `/_sim/faults/${first.name}`));
        say(t("{name} is off.", first));
      } else {
        const fault = { name: first.name };
        if (rate.value !== "") fault.rate = Number(rate.value) / 100;
        if (times.value !== "") fault.count = Number(times.value);
        redraw(await call("POST", "/_sim/faults", fault));
        say(t("{name} is on.", first));
      }
    }),
  });
  return {
    element: make("li", {}, toggle,
      make("div", { class: "what-it-does" },
        make("p", {}, make("code", { class: "name" }, first.name), state),
        make("p", { class: "does" }, faultText(first.name, first.what)),
        wrong),
      choice),
    update(row) {
      toggle.setAttribute("aria-checked", String(row.active.length > 0));
      choice.hidden = row.active.length > 0;
      const chips = row.active.map((active) => chip([
        active.rate === null ? t("always") : `${Math.round(active.rate * 1000) / 10} %`,
        active.count === null ? "" : t("{count} left", active),
        active.out_trade_no ? t("order {out_trade_no}", active) : "",
        active.operation ? t("only {operation}", active) : "",
      ].filter(Boolean).join(", "), "wait"));
      if (row.rate_by_hostility > 0) chips.push(chip(t("{percent} % by hostility", { percent: Math.round(row.rate_by_hostility * 1000) / 10 })));
      if (row.struck > 0) chips.push(chip(t(row.struck === 1 ? "struck {struck} time" : "struck {struck} times", row), "calm"));
      state.replaceChildren(...chips);
    },
  };
}
