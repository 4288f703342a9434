"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items, lines = data.lines;
const one = (id) => document.getElementById(id);
const at = (kind, k) => one(kind + k);
const detail = one("detail");
const MATH = "http://www.w3.org/1998/Math/MathML";
// A key is a letter and a number: t a line of the text, f and b lines of the functions,
// v a value, a its adjoint.
const links = new Map();
function link(a, b) {
  for (const [x, y] of [[a, b], [b, a]]) {
    if (!links.has(x)) links.set(x, new Set());
    links.get(x).add(y);
  }
}
items.forEach((item, k) => {
  const v = "v" + k;
  for (const n of item.lines) link(v, "t" + n);
  for (const n of item.forward) link(v, "f" + n);
  if (!item.adjoint) return;
  link(v, "a" + k);
  for (const n of item.lines) link("a" + k, "t" + n);
  for (const n of item.adjoint.backward) link("a" + k, "b" + n);
});
for (const [n, line] of Object.entries(lines)) {
  for (const k of line.emitted[data.functions[0]] || []) link("t" + n, "f" + k);
  for (const k of line.emitted.backward || []) link("t" + n, "b" + k);
}
function cameOf(key) {
  const found = new Set(links.get(key) || []);
  // Across the graph: a line of a function leads to the text, and over it to nothing more.
  if (key[0] !== "t") for (const k of [...found]) {
    if (k[0] === "v" || k[0] === "a") for (const m of links.get(k)) found.add(m);
  }
  found.delete(key);
  return found;
}
let lit = [], picked = null, held = false;
function show(key, scroll) {
  for (const e of lit) e.classList.remove("lit");
  if (picked) picked.classList.remove("pick");
  picked = one(key);
  if (!picked) return;
  const found = cameOf(key);
  lit = [...found].map(one).filter(Boolean);
  for (const e of lit) e.classList.add("lit");
  picked.classList.add("pick");
  const panes = new Set([picked.closest("section").id]);
  for (const e of scroll ? [picked, ...lit] : lit) {
    const pane = e.closest("section");
    if (panes.has(pane.id) && e !== picked) continue;
    panes.add(pane.id);
    reveal(e);
  }
  describe(key, found);
}
function reveal(e) {
  const box = e.closest(".scroll, ol"), a = e.getBoundingClientRect(), b = box.getBoundingClientRect();
  if (a.top < b.top || a.bottom > b.bottom) box.scrollTop += (a.top + a.bottom - b.top - b.bottom) / 2;
  if (a.right < b.left + 20 || a.left > b.right - 20) box.scrollLeft += (a.left + a.right - b.left - b.right) / 2;
}
function math(tree) {
  const e = document.createElementNS(MATH, tree[0]);
  for (const part of tree.slice(1)) {
    if (typeof part === "string") e.append(part);
    else if (Array.isArray(part)) e.append(math(part));
    else for (const [k, v] of Object.entries(part)) e.setAttribute(k, v);
  }
  return e;
}
function say(kind, words) {
  const e = document.createElement(kind);
  e.textContent = words;
  detail.append(e);
  return e;
}
function amount(v) {
  for (const unit of ["", "k", "M", "G"]) {
    if (v < 1000 || unit === "G") return +v.toPrecision(3) + " " + unit + "FLOP";
    v /= 1000;
  }
}
function tell(what, shape, place) {
  const parts = [shape, place, what.flops === null || what.flops === undefined ? "" : amount(what.flops)];
  for (const row of what.rows) {
    if (row.words !== undefined) { say("p", row.words); continue; }
    const p = say("p", "");
    p.append(math(["math", row.math]));
    if (row.note) p.append("  " + row.note);
  }
  say("p", parts.filter(Boolean).join(" · ")).className = "note";
  if (what.value) say("pre", what.value);
}
function describe(key, found) {
  detail.replaceChildren();
  const line = key[0] === "t" && lines[key.slice(1)];
  if (line && line.flops) {
    say("p", "forward " + amount(line.flops[0]) + ", backward " + amount(line.flops[1])).className = "note";
  }
  if (key[0] === "v" || key[0] === "a") return entity(key);
  const here = [...found].filter((k) => (links.get(key) || new Set()).has(k) && "va".includes(k[0]));
  here.slice(0, 8).forEach(entity);
  if (here.length > 8) say("p", (here.length - 8) + " more");
  if (!here.length) say("p", "no value of the graph is computed here");
}
function entity(key) {
  const item = items[+key.slice(1)];
  if (key[0] === "v") tell(item, item.shape, item.place);
  else tell(item.adjoint, item.shape, item.place);
}
const steps = items.map((_, k) => "v" + k);
for (let k = items.length - 1; k >= 0; k--) if (items[k].adjoint) steps.push("a" + k);
let now = -1;
function go(to) {
  to = Math.max(0, Math.min(steps.length - 1, to));
  for (let k = Math.min(now, to) + 1; k <= Math.max(now, to); k++) one(steps[k]).classList.toggle("done", k <= to);
  now = to;
  const key = steps[now];
  one("step").textContent = (key[0] === "v" ? "forward" : "backward") + ", step " + (now + 1) + " of " + steps.length;
  held = true;
  show(key, true);
}
one("first").onclick = () => go(0);
one("back").onclick = () => go(now - 1);
one("next").onclick = () => go(now + 1);
one("last").onclick = () => go(steps.length - 1);
const target = (event) => event.target.closest && event.target.closest("[data-i]");
const panes = document.querySelector("main");
panes.addEventListener("mouseover", (event) => {
  const e = target(event);
  if (e && !held) show(e.id, false);
});
panes.addEventListener("focusin", (event) => {
  const e = target(event);
  if (e) { held = false; show(e.id, true); }
});
panes.addEventListener("click", (event) => {
  const e = target(event);
  if (e) { focus(e); held = true; }
});
function focus(e) {
  const pane = e.closest("section");
  for (const other of pane.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
  e.setAttribute("tabindex", "0");
  e.focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const e = document.activeElement && document.activeElement.closest("[data-i]");
  const moves = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1};
  if (event.key === "n") go(now + 1);
  else if (event.key === "p") go(now - 1);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(steps.length - 1);
  else if (event.key === "Escape") held = false;
  else if (event.key === "Enter" && e) held = true;
  else if (event.key in moves && e) {
    const all = [...e.closest("section").querySelectorAll("[data-i]")];
    const other = all[all.indexOf(e) + moves[event.key]];
    if (other) focus(other);
  } else return;
  event.preventDefault();
});
for (const pane of document.querySelectorAll("section")) {
  const e = pane.querySelector("[data-i]");
  if (e) e.setAttribute("tabindex", "0");
}
