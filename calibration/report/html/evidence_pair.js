"use strict";
// The elements that show one pair. Texts that models and people wrote reach the page through
// textContent alone.
const evidencePair = (() => {
  const WORDS = {
    first: "first is better", second: "second is better", tie: "tie", both_bad: "both bad",
    skip: "skipped", inconsistent: "contradicts itself", undecided: "undecided",
  };
  const TOKENS = { A: "[[A]]", B: "[[B]]", tie: "[[C]]" };
  const ORDERS = {
    forward: "Shown A = first, B = second",
    reversed: "Shown A = second, B = first",
  };
  const FOLD_CHARS = 900;
  const FOLD_LINES = 14;

  const count = (number) => number.toLocaleString("en");
  const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;


  const el = (tag, className, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== null && child !== ""));
    return element;
  };

  const choice = (preference) =>
    el("span", `ev-choice ev-is-${preference in WORDS ? preference : "none"}`,
      WORDS[preference] ?? preference);

  // A text is a string, or [beginning, characters left out, end].
  const whole = (text) => (Array.isArray(text) ? text : [text, 0, ""]);
  const plain = (text) => whole(text).filter((piece) => typeof piece === "string").join("\n");

  const marked = (text, verdict) => {
    const token = TOKENS[verdict];
    const at = token ? text.lastIndexOf(token) : -1;
    if (at >= 0) return [text.slice(0, at), el("mark", "", token), text.slice(at + token.length)];
    const isLetter = token && text.trim().replace(/\.$/, "") === token[2];
    return [isLetter ? el("mark", "", text) : text];
  };

  const passage = (text, verdict) => {
    const [head, leftOut, tail] = whole(text);
    const box = el("div", "ev-text ev-raw");
    box.dir = "auto";
    if (!head && !tail) box.append(el("span", "ev-none", "(empty)"));
    box.append(...(tail ? [head] : marked(head, verdict)));
    if (leftOut) {
      box.append(el("p", "ev-cut", `… ${count(leftOut)} characters left out …`));
      box.append(...marked(tail, verdict));
    }
    const shown = head.length + tail.length;
    if (shown <= FOLD_CHARS && head.split("\n").length <= FOLD_LINES) return box;
    const summary = el("summary", "", el("span", "ev-open", `Show all ${count(shown)} characters`),
      el("span", "ev-close", "Show less"));
    return el("div", "ev-fold", box, el("details", "ev-more", summary));
  };

  const question = (pair) => {
    const box = el("div", "ev-prompt", el("h4", "", "Question"));
    for (const [role, text] of pair.prompt) {
      if (pair.prompt.length > 1 || role !== "user") box.append(el("p", "ev-meta", role));
      box.append(passage(text));
    }
    if (pair.reference !== null) box.append(el("h4", "", "Reference"), passage(pair.reference));
    return box;
  };

  const answer = (pair, side) => {
    const given = pair[side];
    const title = el("h4", "", side === "first" ? "First " : "Second ");
    if (given.system) title.append(el("span", "ev-system", given.system));
    const box = el("div", `ev-side ev-of-${side}`, title,
      el("p", "ev-meta", many(given.chars, "character")));
    given.texts.forEach((text, turn) => {
      if (given.texts.length > 1) box.append(el("p", "ev-meta", `turn ${turn + 1}`));
      box.append(passage(text));
    });
    return box;
  };

  const reply = (given) => {
    const line = el("p", "ev-verdict");
    if (given.verdict) {
      line.append(el("code", "", TOKENS[given.verdict]), " means ", choice(given.preference));
    } else {
      const why = given.reason ? `${given.status}: ${given.reason}` : given.status;
      line.append(el("span", "ev-choice ev-is-none", "no verdict"), ` ${why}`);
    }
    if (given.sample) line.append(" ", el("span", "ev-meta", `ask ${given.sample + 1}`));
    return el("div", "ev-reply", line, passage(given.text, given.verdict));
  };

  const replies = (pair) => {
    const judges = [...new Set(pair.replies.map((given) => given.judge))];
    return judges.flatMap((judge) => {
      const title = el("h4", "", `What ${judge} said`);
      if (Object.hasOwn(pair.judge_labels, judge)) title.append(": ", choice(pair.judge_labels[judge]));
      const columns = Object.entries(ORDERS).map(([order, says]) => {
        const own = pair.replies.filter((given) => given.judge === judge && given.order === order);
        const none = el("p", "ev-none", "not asked, or no reply");
        return el("div", "ev-order", el("p", "ev-shown", says),
          ...(own.length ? own.map(reply) : [none]));
      });
      return [title, el("div", "ev-two", ...columns)];
    });
  };

  const votesOf = (pair) => Object.values(pair.tally).reduce((sum, number) => sum + number, 0);

  const votes = (pair) => {
    if (!pair.votes.length) return el("p", "ev-none", "no votes");
    const box = el("ul", "ev-votes");
    for (const [annotator, preference, note] of pair.votes) {
      const item = el("li", "", choice(preference), " ", el("span", "ev-who", annotator));
      if (note) item.append(passage(note));
      box.append(item);
    }
    const more = votesOf(pair) - pair.votes.length;
    if (more) box.append(el("li", "ev-meta", `and ${many(more, "more vote")}`));
    return box;
  };

  // Most votes first: [preference, votes].
  const tallied = (pair) => Object.entries(pair.tally).sort((one, other) => other[1] - one[1]);

  const told = (pair) => {
    const tags = [["prompt", pair.prompt_id], ...Object.entries(pair.tags)];
    return el("div", "ev-pair", question(pair),
      el("div", "ev-two", answer(pair, "first"), answer(pair, "second")), ...replies(pair),
      el("h4", "", "What people said"), votes(pair),
      el("p", "ev-meta", tags.map(([name, value]) => `${name}: ${value}`).join(" · ")));
  };

  return { el, choice, count, many, plain, tallied, told, votesOf };
})();
