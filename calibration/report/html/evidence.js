"use strict";
// Looking up pairs: unpacks them, filters and sorts them, and shows one.
(() => {
  const byId = (id) => document.getElementById(id);
  const root = byId("ev-browser");
  const packed = byId("ev-payload");
  if (!root || !packed) return;

  const MOST_PARTS = 200;

  const { el, choice, count, many, plain, tallied, told, votesOf } = evidencePair;
  const search = byId("ev-search");
  const part = byId("ev-part");
  const sort = byId("ev-sort");
  const keys = byId("ev-keys");
  const reset = byId("ev-reset");
  const list = byId("ev-list");
  const detail = byId("ev-detail");
  const filters = [...root.querySelectorAll(".ev-filter")];
  let pairs = [];
  let found = [];
  let chosen = null;

  // --- one pair --------------------------------------------------------------------------------

  const peopleOf = (pair) => {
    const parts = tallied(pair).flatMap(([preference, number]) =>
      [choice(preference), ` (${count(number)})`, ", "]);
    return parts.length ? parts.slice(0, -1) : ["no vote"];
  };

  const step = (name, by, at) => {
    const button = el("button", "", name);
    button.type = "button";
    button.disabled = !found[at + by];
    button.addEventListener("click", () => {
      choose(found[at + by]);
      // The button is made anew with each pair; whoever goes on pressing it must still have it.
      const again = detail.querySelectorAll(".ev-step button")[by < 0 ? 0 : 1];
      (again.disabled ? detail : again).focus();
    });
    return button;
  };

  const show = (pair) => {
    if (!pair) {
      detail.replaceChildren(el("p", "ev-none", "No pair fits. Take a filter away, or search for something else."));
      return;
    }
    const at = found.indexOf(pair);
    const bar = el("div", "ev-step", el("h3", "", `Pair ${pair.id}`),
      step("Previous", -1, at), step("Next", 1, at));
    const outcome = el("p", "ev-outcome", "Label: ", choice(pair.label));
    if (pair.reason) outcome.append(` (${pair.reason})`);
    outcome.append("; people: ", ...peopleOf(pair));
    detail.replaceChildren(bar, outcome, told(pair));
  };

  const choose = (pair, { isKept = true } = {}) => {
    if (chosen?.item) {
      chosen.item.removeAttribute("aria-current");
      chosen.item.tabIndex = -1;
    }
    chosen = pair ?? null;
    show(chosen);
    if (chosen) {
      const item = itemOf(chosen);
      item.setAttribute("aria-current", "true");
      item.tabIndex = 0;
      const box = list.getBoundingClientRect();
      const own = item.getBoundingClientRect();
      if (own.top < box.top || own.bottom > box.bottom) {
        list.scrollTop += own.top - box.top - box.height / 2;
      }
    }
    if (isKept) keep();
  };

  // --- the list --------------------------------------------------------------------------------

  const itemOf = (pair) => {
    if (pair.item) return pair.item;
    const item = el("button", "ev-item");
    item.type = "button";
    item.tabIndex = -1;
    const label = el("span", "ev-meta ev-row", "label: ", choice(pair.label));
    const people = el("span", "ev-meta ev-row", "people: ", ...peopleOf(pair));
    const question = el("span", "", plain(pair.prompt[pair.prompt.length - 1]?.[1] ?? "").slice(0, 120));
    question.dir = "auto";
    item.append(el("span", "ev-meta", pair.id), question, label, people);
    item.addEventListener("click", () => {
      choose(pair);
      if (matchMedia("(max-width: 900px)").matches) detail.scrollIntoView();
    });
    pair.item = item;
    pair.line = el("li", "", item);
    return item;
  };

  const textOf = (pair) => {
    pair.text ??= [
      pair.id, pair.prompt_id, pair.first.system ?? "", pair.second.system ?? "",
      ...pair.prompt.map(([, text]) => plain(text)), plain(pair.reference ?? ""),
      ...pair.first.texts.map(plain), ...pair.second.texts.map(plain),
      ...pair.replies.map((given) => plain(given.text)),
      ...pair.votes.flatMap(([annotator, , note]) => [annotator, plain(note ?? "")]),
    ].join("\n").toLowerCase();
    return pair.text;
  };

  const isOn = (button) => button.getAttribute("aria-pressed") === "true";
  const turn = (button, on) => button.setAttribute("aria-pressed", String(on));
  const active = () => filters.filter(isOn).map((button) => button.dataset.flag);

  const gap = (pair) => Math.abs(pair.first.chars - pair.second.chars);
  const ORDERINGS = {
    "": (one, other) => one.row - other.row,
    gap: (one, other) => gap(other) - gap(one) || one.row - other.row,
    votes: (one, other) => votesOf(other) - votesOf(one) || one.row - other.row,
  };

  const update = ({ isKept = true, wanted = chosen } = {}) => {
    const words = search.value.trim().toLowerCase();
    const [name, value] = part.value ? JSON.parse(part.value) : [];
    const candidates = pairs.filter((pair) =>
      (!name || pair.tags[name] === value) && (!words || textOf(pair).includes(words)));
    const flags = active();
    const fits = (pair, wantedFlags) => wantedFlags.every((flag) => pair.flags.includes(flag));
    for (const button of filters) {
      const more = [...new Set([...flags, button.dataset.flag])];
      const number = candidates.filter((pair) => fits(pair, more)).length;
      button.querySelector(".ev-count").textContent = count(number);
      button.disabled = !number && !isOn(button);
    }
    found = candidates.filter((pair) => fits(pair, flags)).sort(ORDERINGS[sort.value]);
    found.forEach(itemOf);
    list.replaceChildren(...found.map((pair) => pair.line));
    const isAll = found.length === pairs.length;
    byId("ev-found").textContent = isAll ? many(pairs.length, "pair")
      : `${count(found.length)} of ${many(pairs.length, "pair")}`;
    reset.hidden = !flags.length && !words && !name;
    choose(found.includes(wanted) ? wanted : found[0], { isKept });
  };

  // --- the address holds the state -------------------------------------------------------------

  const NAMES = ["pair", "only", "find", "part", "sort", "keys"];

  const keep = () => {
    const state = {
      pair: chosen?.id, only: active().join(","), find: search.value.trim(), part: part.value,
      sort: sort.value, keys: keys.checked ? "" : "off",
    };
    const hash = NAMES.filter((name) => state[name])
      .map((name) => `${name}=${encodeURIComponent(state[name])}`).join("&");
    history.replaceState(null, "", `#${hash}`);
  };

  const read = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    return NAMES.some((name) => state.has(name)) ? state : null;
  };

  const restore = (state) => {
    const only = (state?.get("only") ?? "").split(",");
    for (const button of filters) turn(button, only.includes(button.dataset.flag));
    search.value = state?.get("find") ?? "";
    for (const [select, name] of [[part, "part"], [sort, "sort"]]) {
      const value = state?.get(name) ?? "";
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
    }
    keys.checked = state?.get("keys") !== "off";
    const wanted = pairs.find((pair) => pair.id === state?.get("pair"));
    update({ isKept: false, wanted });
    if (state && wanted && chosen !== wanted) {
      // A link to a pair must reach it, whatever the filters beside it say.
      clear();
      update({ isKept: false, wanted });
    }
  };

  const clear = () => {
    for (const button of filters) turn(button, false);
    search.value = "";
    part.value = "";
  };

  // --- events ----------------------------------------------------------------------------------

  const move = (by) => {
    const next = found[found.indexOf(chosen) + by];
    if (!next) return;
    choose(next);
    if (list.contains(document.activeElement)) itemOf(next).focus({ preventScroll: true });
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (list.contains(target) && ["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) {
      event.preventDefault();
      const at = found.indexOf(chosen);
      move({ ArrowDown: 1, ArrowUp: -1, Home: -at, End: found.length - 1 - at }[event.key]);
      return;
    }
    if (!keys.checked || target.matches("input:not([type=checkbox]), select, textarea")) return;
    const action = { j: () => move(1), k: () => move(-1), "/": () => search.focus() }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  const listen = () => {
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(update, 120);
    });
    for (const select of [part, sort]) select.addEventListener("change", () => update());
    for (const button of filters) {
      button.addEventListener("click", () => {
        turn(button, !isOn(button));
        update();
      });
    }
    reset.addEventListener("click", () => {
      clear();
      update();
      search.focus();
    });
    keys.addEventListener("change", keep);
    root.addEventListener("keydown", onKey);
    addEventListener("hashchange", () => {
      const state = read();
      if (!state) return;
      restore(state);
      root.scrollIntoView();
      detail.focus({ preventScroll: true });
    });
  };

  // --- the start -------------------------------------------------------------------------------

  const offerParts = () => {
    const names = [...new Set(pairs.flatMap((pair) => Object.keys(pair.tags)))].sort();
    for (const name of names) {
      const values = [...new Set(pairs.map((pair) => pair.tags[name]))]
        .filter((value) => value !== undefined).sort();
      if (values.length < 2 || values.length > MOST_PARTS) continue;
      const group = el("optgroup", "");
      group.label = name;
      for (const value of values) {
        const option = el("option", "", value);
        option.value = JSON.stringify([name, value]);
        group.append(option);
      }
      part.append(group);
    }
    part.parentElement.hidden = part.options.length < 2;
  };

  const unpacked = async () => {
    const bytes = Uint8Array.from(atob(packed.textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const lines = (await new Response(stream).text()).split("\n");
    return lines.filter(Boolean).map((line) => JSON.parse(line));
  };

  const start = async () => {
    if (typeof DecompressionStream === "undefined") return;
    pairs = await unpacked();
    packed.remove();
    const flags = new Set(pairs.flatMap((pair) => pair.flags));
    for (const button of filters) button.hidden = !flags.has(button.dataset.flag);
    offerParts();
    document.querySelector(".ev-needs").hidden = true;
    for (const link of document.querySelectorAll(".ev-link")) link.hidden = false;
    root.hidden = false;
    listen();
    const state = read();
    restore(state);
    if (state) root.scrollIntoView();
  };

  start();
})();
