// Ticking many phones at once, and how many are ticked.
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
