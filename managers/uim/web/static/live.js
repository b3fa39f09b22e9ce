// The page kept up to date, and keys for its buttons. Without this module every page works by links and forms.

const QUIET = 12_000; // ms without a word from the server (it speaks every 5 s) until the page says that it is cut off
const AGAIN = [1000, 2000, 5000, 10_000]; // ms until the stream is opened again
const BETWEEN = 700; // ms between two renewals, however much happens

// --- keeping the page up to date ---------------------------------------------------------------------------------

const pulse = document.getElementById("pulse");
let stream = null;
let seen = document.body.dataset.seq ?? "0"; // the newest record that this page shows
let heard = Date.now();
let failed = 0;
let renewing = null;
const wanted = new Set();
let offset = Number(document.body.dataset.now) - Date.now(); // of the ledger's clock to this one's

function open() {
  if (stream || document.hidden) return;
  stream = new EventSource(`/v1/stream?after=${seen}`);
  stream.addEventListener("change", (event) => {
    const { topics, all, now } = JSON.parse(event.data);
    seen = event.lastEventId || seen;
    listened(now);
    for (const topic of all ? ["all"] : topics) wanted.add(topic);
    renewSoon();
  });
  stream.addEventListener("pulse", (event) => {
    listened(JSON.parse(event.data).now);
    wanted.add("pulse");
    renewSoon();
  });
  stream.onerror = () => {
    close();
    say(false);
    setTimeout(open, AGAIN[Math.min(failed++, AGAIN.length - 1)]);
  };
}

// A page that nobody looks at holds no connection: a browser has six for each server.
function close() {
  stream?.close();
  stream = null;
}

function listened(now) {
  heard = Date.now();
  failed = 0;
  offset = now - heard;
  say(true);
}

function say(live) {
  if (!pulse || pulse.classList.contains("cut") === !live && !pulse.hidden) return;
  pulse.hidden = false;
  pulse.classList.toggle("cut", !live);
  const at = new Date(heard).toLocaleTimeString([], { hour12: false });
  pulse.textContent = live ? "Live" : `Not live since ${at}. What you do still counts.`;
}

function renewSoon() {
  renewing ??= setTimeout(async () => {
    const topics = new Set(wanted);
    wanted.clear();
    try {
      await renew(topics);
    } catch {
      for (const topic of topics) wanted.add(topic);
      say(false);
    }
    renewing = null;
    if (wanted.size && stream) renewSoon();
  }, BETWEEN);
}

async function renew(topics) {
  const parts = [...document.querySelectorAll("[data-live]")].filter((part) => concerns(part, topics));
  if (!parts.length) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html", "Elias-Renews": "1" } });
  if (answer.redirected && new URL(answer.url).pathname === "/login") return location.reload();
  if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const before = rows().map((row) => row.id);
  for (const part of parts) {
    const next = fresh.getElementById(part.id);
    if (next) morph(part, next);
  }
  if (fresh.title) document.title = fresh.title;
  for (const row of rows()) if (row.id && before.length && !before.includes(row.id)) row.classList.add("fresh");
  countTicked();
  tell();
}

function concerns(part, topics) {
  const mine = part.dataset.live.split(" ");
  return topics.has("all") || !part.dataset.live || mine.some((topic) => topics.has(topic));
}

// Makes `old` like `next`, keeping what a person has in hand: focus, ticks, what is typed, what is folded open.
function morph(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || key(old) !== key(next)) {
    if (old.contains?.(document.activeElement) && old.matches?.("input, textarea, select")) return;
    old.replaceWith(next.cloneNode(true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  const kept = old.matches("details") ? ["open"] : old.matches("input, option") ? ["checked", "selected", "value"] : [];
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value && !(kept.includes(name) && name !== "value")) old.setAttribute(name, value);
  }
  if (old.matches("textarea, dialog")) return;
  const named = new Map([...old.children].filter(key).map((child) => [key(child), child]));
  let at = old.firstChild;
  for (const child of [...next.childNodes]) {
    const mine = named.get(key(child)) ?? alike(at, child);
    if (!mine) {
      old.insertBefore(child.cloneNode(true), at);
    } else if (key(child)) {
      if (mine !== at) old.insertBefore(mine, at);
      at = mine.nextSibling;
      morph(mine, child);
    } else {
      at = drop(at, mine).nextSibling;
      morph(mine, child);
    }
  }
  drop(at, null);
}

// The node from `at` on that a new one without a name may become: none if that would drop what a person has in hand.
function alike(at, child) {
  if (key(child)) return null;
  for (let node = at; node; node = node.nextSibling) {
    if (node.nodeName === child.nodeName && !key(node)) return node;
    if (key(node) || child.nodeType !== Node.ELEMENT_NODE || node.matches?.("form, :has(input, textarea)")) return null;
  }
  return null;
}

function drop(at, end) {
  while (at !== end) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
  return end;
}

const key = (node) => node.id || "";

// One sentence for those who hear the page, when the number of open cases changed.
let open_ = document.getElementById("open-cases")?.textContent.trim() ?? "";
function tell() {
  const now = document.getElementById("open-cases")?.textContent.trim() ?? "";
  if (now !== open_ && pulse) pulse.textContent = now ? `Live, ${now.replace(/\s+/g, " ")}` : "Live, no case open";
  open_ = now;
}

// --- time ---------------------------------------------------------------------------------------------------------

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (s >= size) return `${Math.round(s / size)} ${unit}`;
  return `${s} s`;
}

function clock(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function everySecond() {
  const now = Date.now() + offset;
  for (const node of document.querySelectorAll("time[data-ago]")) write(node, span(now - Date.parse(node.dateTime)));
  for (const node of document.querySelectorAll("[data-left]")) write(node, span(node.dataset.left - now));
  for (const node of document.querySelectorAll("[data-due]")) {
    const left = node.dataset.due - now;
    write(node, left > 0 ? clock(left) : `late by ${span(-left)}`);
    node.parentElement.classList.toggle("over", left <= 0);
    node.parentElement.classList.toggle("soon", left > 0 && left < 300_000);
  }
  if (stream && Date.now() - heard > QUIET) {
    close();
    say(false);
    setTimeout(open, AGAIN[0]);
  }
}

// --- rows and ticks -----------------------------------------------------------------------------------------------

const rows = () => [...document.querySelectorAll("[data-row]")];
const current = () => document.activeElement?.closest("[data-row]");
const ticks = () => [...document.querySelectorAll("[data-tick]")];

function move(step) {
  const all = rows().filter((row) => row.querySelector("[data-open], [data-tick], a"));
  if (!all.length) return;
  const at = all.indexOf(current());
  const row = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
  (row.querySelector("[data-open]") ?? row.querySelector("a, [data-tick]")).focus();
  row.scrollIntoView({ block: "nearest" });
}

function countTicked() {
  const all = ticks();
  const number = all.filter((tick) => tick.checked).length;
  const label = document.querySelector("[data-ticked]");
  const every = document.querySelector("[data-tick-all]");
  if (label) write(label, number ? `${number} ticked` : "all");
  if (every) {
    every.checked = number > 0 && number === all.length;
    every.indeterminate = number > 0 && number < all.length;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) for (const tick of ticks()) tick.checked = event.target.checked;
  if (event.target.matches("[data-tick], [data-tick-all]")) countTicked();
  if (event.target.matches("#answer [type=radio]")) document.getElementById("words").required = "why" in event.target.dataset;
});

// --- keys ---------------------------------------------------------------------------------------------------------

const help = document.getElementById("help");
let jumping = 0;

function press(name) {
  const within = current() ?? (document.querySelectorAll("[data-row]").length > 1 ? null : document);
  const target = (within ?? document.createElement("i")).querySelector(`[data-key~="${name}"]`)
    ?? document.querySelector(`#moves [data-key~="${name}"]`);
  if (!target) return false;
  if (target.matches("summary")) {
    target.parentElement.open = true;
    target.parentElement.querySelector("select, input:not([type=hidden])")?.focus();
  } else {
    target.click();
  }
  return true;
}

function openRow() {
  const answers = document.querySelector("#answer input[type=radio]");
  const row = current();
  if (row?.querySelector("[data-open]")) row.querySelector("[data-open]").click();
  else (document.querySelector("#answer input[type=radio]:checked") ?? answers)?.focus();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: openRow,
  a: () => press("a"),
  s: () => press("s"),
  x: () => current()?.querySelector("[data-tick]")?.click(),
  "/": () => document.getElementById("find")?.focus(),
  "?": () => help?.showModal(),
};

function onKey(event) {
  if (event.key === "Escape" && event.target.matches("input, textarea, select")) return event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (help?.open || event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
  if (jumping && Date.now() - jumping < 1500) {
    jumping = 0;
    const tab = document.querySelector(`[data-jump="${CSS.escape(event.key)}"]`);
    if (tab) {
      event.preventDefault();
      tab.click();
    }
    return;
  }
  if (event.key === "g") jumping = Date.now();
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

if ("keys" in document.body.dataset) {
  document.addEventListener("keydown", onKey);
  const opener = document.getElementById("help-open");
  if (opener) {
    opener.hidden = false;
    opener.addEventListener("click", () => help.showModal());
  }
}

// A form that is on its way is not sent twice.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
window.addEventListener("pagehide", close);
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
setInterval(everySecond, 1000);
open();
