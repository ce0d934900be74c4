"use strict";
// Adds what only a script can do: copying tables, and opening every fold for the printer.
(() => {
  const text = (node) => node.textContent.replace(/\s+/g, " ").trim();

  const shown = (cell) => {
    const value = cell.querySelector(".value");
    if (!value) return text(cell);
    const more = [...cell.querySelectorAll(".interval, .note")].map(text).join(", ");
    return more ? `${text(value)} (${more})` : text(value);
  };

  const markdown = (table) => {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const escaped = (words) => words.replace(/[\\|`*_<>[\]]/g, "\\$&");
    const rows = [...table.rows].map((row) => {
      const cells = [...row.cells].map((cell) => escaped(shown(cell)));
      while (cells.length < table.tHead.rows[0].cells.length) cells.push("");
      return line(cells);
    });
    rows.splice(1, 0, line([...table.tHead.rows[0].cells].map(() => "---")));
    return rows.join("\n") + "\n";
  };

  // A spreadsheet runs a text that begins like a formula; a name from a model must stay a name.
  const field = (words) => {
    const isNumber = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(words);
    const safe = !isNumber && /^[=+\-@\t\r]/.test(words) ? `'${words}` : words;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };

  const csv = (table) => {
    const parts = ["value", "low", "high", "n"];
    const body = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("group"));
    const heads = [...table.tHead.rows[0].cells].map(text);
    const isWide = heads.map((_, i) => body.some((row) => row.cells[i]?.dataset.numbers));
    const first = heads.flatMap((head, i) =>
      isWide[i] ? parts.map((part) => `${head} ${part}`) : [head]);
    const rows = body.map((row) => [...row.cells].flatMap((cell, i) => {
      if (!isWide[i]) return [text(cell.querySelector(".value") ?? cell)];
      if (cell.dataset.numbers) return cell.dataset.numbers.split(";");
      return [text(cell), "", "", ""];
    }));
    return [first, ...rows].map((row) => row.map(field).join(",")).join("\n") + "\n";
  };

  const copied = async (words) => {
    try {
      await navigator.clipboard.writeText(words);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = words;
      area.className = "unseen";
      document.body.append(area);
      area.select();
      const isDone = document.execCommand("copy");
      area.remove();
      return isDone;
    }
  };

  const said = document.getElementById("said");
  const button = (name, table, made) => {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = `Copy as ${name}`;
    element.setAttribute("aria-label", `Copy as ${name}: ${text(table.caption)}`);
    element.addEventListener("click", async () => {
      const isDone = await copied(made(table));
      said.textContent = isDone ? `Copied as ${name}.` : "The browser did not allow copying.";
      element.textContent = isDone ? "Copied" : "Not allowed";
      setTimeout(() => { element.textContent = `Copy as ${name}`; }, 1500);
      element.focus();
    });
    return element;
  };

  for (const table of document.querySelectorAll(".table > table")) {
    const bar = document.createElement("div");
    bar.className = "copy";
    bar.append(button("Markdown", table, markdown), button("CSV", table, csv));
    table.parentElement.after(bar);
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
