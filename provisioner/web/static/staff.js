// What htmx leaves open: the live mark, running clocks, and not to disturb someone who types.
"use strict";

const mark = document.getElementById("live-state");

function show(live) {
  mark.hidden = false;
  mark.className = live ? "state good" : "state warn";
  const word = live ? mark.dataset.live : mark.dataset.notLive;
  if (mark.textContent !== word) mark.textContent = word;
}

document.body.addEventListener("htmx:sseOpen", () => show(true));
document.body.addEventListener("htmx:sseError", () => show(false));

// After a pause of the event stream things may have changed unseen.
document.body.addEventListener("htmx:sseOpen", () => {
  if (mark.dataset.opened) htmx.trigger("#live", "sse:call");
  mark.dataset.opened = "yes";
});

function busy() {
  if (document.querySelector("#live input[type=checkbox]:checked")) return true;
  const field = document.activeElement;
  return field && field.matches("#live input, #live select, #live textarea") && field.value !== "";
}

document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (busy()) event.preventDefault();
});

// What is open stays open, and the focus where it is; an unchanged alarm is not announced again.
let open = [];
let focused = "";
const likeness = (one) => [one.tagName, one.getAttribute("href"), one.name, one.value, one.textContent].join("|");
document.body.addEventListener("htmx:beforeSwap", () => {
  open = [...document.querySelectorAll("#live details[open]")].map((details) => details.id);
  focused = document.activeElement.closest("#live") ? likeness(document.activeElement) : "";
});
document.body.addEventListener("htmx:afterSwap", () => {
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (!focused || document.activeElement !== document.body) return;
  const fields = document.querySelectorAll("#live :is(a, button, input, select, summary)");
  [...fields].find((one) => likeness(one) === focused)?.focus({ preventScroll: true });
});
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  const incoming = event.detail.fragment.firstElementChild;
  if (incoming && incoming.innerHTML === event.detail.target.innerHTML) event.detail.shouldSwap = false;
});

function clocks() {
  const here = performance.now();
  for (const clock of document.querySelectorAll("time[data-since]")) {
    clock.dataset.shown ??= here;
    const passed = clock.dataset.now - clock.dataset.since + (here - clock.dataset.shown) / 1000;
    const seconds = Math.max(0, Math.floor(passed));
    const pad = (value) => String(value).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    clock.textContent = (hours ? hours + ":" + pad(minutes) : minutes) + ":" + pad(seconds % 60);
  }
}
setInterval(clocks, 1000);

// Without a secure context there is no clipboard; the text can be selected all the same.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
    });
  }
}

// Where this browser is, the practice most likely is too.
for (const select of document.querySelectorAll("select[data-guess-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
}

// Menus close by Escape and by a click elsewhere, as people expect of menus.
const menus = () => document.querySelectorAll("details.menu[open], details.facet[open]");
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
