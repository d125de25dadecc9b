"use strict";
// Every row of review.csv, those shown as cards and those that are not; a card's number is its row.
const page = JSON.parse(document.getElementById("rows").textContent);
const rows = page.rows, words = page.words;
let saved = true;

const cards = [...document.querySelectorAll(".card")];
const of = (card, name) => card.querySelector(name);

function quoted(cell) {
  const harmless = /^[=+\-@\t\r']/.test(cell) ? "'" + cell : cell;
  return /[",\r\n]/.test(harmless) ? '"' + harmless.replaceAll('"', '""') + '"' : harmless;
}

function tell() {
  const counts = {};
  for (const row of rows) {
    const verb = row[3].split(":")[0];
    if (verb !== "keep") counts[verb] = (counts[verb] || 0) + 1;
  }
  const told = ["exclude", "relabel", "move"].filter((verb) => counts[verb]).map((verb) => words[verb] + ": " + counts[verb]);
  document.getElementById("told").textContent = told.join(" · ") || words.nothing;
}

function choose(card, action) {
  const select = of(card, "select");
  if (![...select.options].some((one) => one.value === action)) {
    select.add(new Option(words.relabel + ": " + action.slice(action.indexOf(":") + 1), action));
  }
  select.value = action;
  rows[card.dataset.row][3] = action;
  card.classList.toggle("chosen", action !== "keep");
  saved = false;
}

for (const card of cards) {
  of(card, "select").addEventListener("change", (event) => { choose(card, event.target.value); tell(); });
}

for (const section of document.querySelectorAll("section.kind")) {
  const mine = [...section.querySelectorAll(".card")];
  const all = of(section, ".all"), apply = of(section, ".apply"), action = of(section, ".action");
  const ticked = () => mine.filter((card) => of(card, "input").checked);
  const count = () => {
    const n = ticked().length;
    apply.disabled = n === 0;
    apply.textContent = words.apply + " (" + n + ")";
    all.checked = n === mine.length;
    all.indeterminate = n > 0 && n < mine.length;
  };
  all.addEventListener("change", () => { for (const card of mine) of(card, "input").checked = all.checked; count(); });
  for (const card of mine) of(card, "input").addEventListener("change", count);
  apply.addEventListener("click", () => {
    for (const card of ticked()) {
      const wanted = action.value === "suggestion" ? rows[card.dataset.row][2] : action.value;
      choose(card, wanted);
      of(card, "input").checked = false;
    }
    count();
    tell();
    all.focus();
  });
  count();
}

document.getElementById("save").addEventListener("click", () => {
  const lines = [["path", "finding", "suggestion", "action"], ...rows].map((row) => row.map(quoted).join(","));
  const file = new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "review.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  saved = true;
  document.getElementById("told").textContent = words.saved;
});

window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
document.documentElement.classList.add("ready");
tell();
