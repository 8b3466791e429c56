// Ticking many phones at once, and how many are ticked; arrows go from key to key of a phone that is drawn; a table
// that is dropped is shown.
"use strict";

const ticks = () => [...document.querySelectorAll("input[name=mac][form=many]")];

function told() {
  const all = document.getElementById("tick-all");
  if (!all) return;
  const boxes = ticks();
  const count = boxes.filter((box) => box.checked).length;
  all.hidden = false;
  all.checked = count > 0 && count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
  const ticked = document.getElementById("ticked");
  ticked.hidden = !count;
  ticked.querySelector("b").textContent = count;
}

document.body.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") for (const box of ticks()) box.checked = event.target.checked;
  if (event.target.matches("#tick-all, input[name=mac]")) told();
});
document.body.addEventListener("htmx:afterSwap", told);
told();

const columns = () => [...document.querySelectorAll(".keycolumn")].map((column) => [...column.querySelectorAll("a")]);

document.body.addEventListener("keydown", (event) => {
  const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  const step = steps[event.key];
  if (!step || !event.target.matches(".keycap")) return;
  const all = columns();
  const x = all.findIndex((column) => column.includes(event.target));
  const y = all[x].indexOf(event.target);
  const column = all[x + step[0]];
  const next = step[0] ? column && column[Math.min(y, column.length - 1)] : all[x][y + step[1]];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

// A file field takes what is dropped on it by itself; its label is a larger place to hit.
for (const place of document.querySelectorAll(".drop")) {
  const field = place.querySelector("input[type=file]");
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    field.files = event.dataTransfer.files;
    field.form.requestSubmit();
  });
}
