"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items, lines = data.lines;
const one = (id) => document.getElementById(id);
const detail = one("detail");
const MATH = "http://www.w3.org/1998/Math/MathML";

// What belongs to what. A key is a letter and a number: t a line of the text, f and b lines of
// the functions, v a value, a its adjoint.
const links = new Map();
function link(x, y) {
  for (const [from, to] of [[x, y], [y, x]]) {
    if (!links.has(from)) links.set(from, new Set());
    links.get(from).add(to);
  }
}
items.forEach((item, k) => {
  for (const n of item.lines) link("v" + k, "t" + n);
  for (const n of item.forward) link("v" + k, "f" + n);
  if (!item.adjoint) return;
  link("v" + k, "a" + k);
  for (const n of item.lines) link("a" + k, "t" + n);
  for (const n of item.adjoint.backward) link("a" + k, "b" + n);
});
for (const [row, line] of Object.entries(lines)) {
  for (const [name, numbers] of Object.entries(line.emitted)) {
    for (const n of numbers) link("t" + row, (name === "backward" ? "b" : "f") + n);
  }
}
const edges = items.map(() => []);
data.arrows.forEach((ends, k) => { for (const i of new Set(ends)) edges[i].push("e" + k); });
const near = (key) => links.get(key) || new Set();
function cameOf(key) {
  const found = new Set(near(key)), own = key[0] === "v" || key[0] === "a" ? key[0] : "";
  // A line of a function, and a value, lead over the values to the text and to both passes.
  if (key[0] !== "t") for (const k of own ? [key] : near(key)) {
    if (k[0] !== "v" && k[0] !== "a") continue;
    for (const all of [near("v" + k.slice(1)), near("a" + k.slice(1))]) {
      for (const m of all) if (m[0] !== key[0]) found.add(m);
    }
  }
  found.delete(key);
  return found;
}

// What is lit.
let lit = [], picked = null, held = false;
function show(key, scroll) {
  const e = one(key);
  if (!e || e === picked) return;
  clear();
  picked = e;
  const found = cameOf(key);
  lit = [...found].map(one).filter(Boolean);
  if (key[0] === "v" || key[0] === "a") lit.push(...edges[+key.slice(1)].map(one));
  for (const other of lit) other.classList.add("lit");
  picked.classList.add("pick");
  const panes = new Set();
  if (!scroll) panes.add(picked.closest("section"));
  for (const other of [picked, ...lit]) {
    const pane = other.closest("section");
    if (panes.has(pane) || other.tagName === "path") continue;
    panes.add(pane);
    reveal(other);
  }
  describe(key, found);
}
function clear() {
  for (const e of lit) e.classList.remove("lit");
  if (picked) picked.classList.remove("pick");
  lit = [];
  picked = null;
}
function hold(on) {
  held = on;
  one("held").hidden = !on;
}
function reveal(e) {
  const box = e.closest(".scroll"), a = e.getBoundingClientRect(), b = box.getBoundingClientRect();
  if (a.top < b.top || a.bottom > b.bottom) box.scrollTop += (a.top + a.bottom - b.top - b.bottom) / 2;
  if (e.tagName !== "LI" && (a.left < b.left || a.right > b.right)) {
    box.scrollLeft += (a.left + a.right - b.left - b.right) / 2;
  }
}

// What is said of it.
function math(tree) {
  const e = document.createElementNS(MATH, tree[0]);
  for (const part of tree.slice(1)) {
    if (typeof part === "string") e.append(part);
    else if (Array.isArray(part)) e.append(math(part));
    else for (const [k, v] of Object.entries(part)) e.setAttribute(k, v);
  }
  return e;
}
function say(into, kind, words, name) {
  const e = document.createElement(kind);
  e.textContent = words;
  if (name) e.className = name;
  into.append(e);
  return e;
}
function amount(v) {
  let unit = "";
  for (const larger of ["k", "M", "G", "T"]) {
    if (v < 1000) break;
    v /= 1000;
    unit = larger;
  }
  return +v.toPrecision(3) + " " + unit + "FLOP";
}
function describe(key, found) {
  detail.replaceChildren();
  detail.scrollTop = 0;
  if (key[0] === "v" || key[0] === "a") return entity(key);
  const line = key[0] === "t" && lines[key.slice(1)];
  if (line && line.flops) {
    say(detail, "p", "forward " + amount(line.flops[0]) + " · backward " + amount(line.flops[1]), "note");
  }
  const here = [...near(key)].filter((k) => k[0] === "v" || k[0] === "a");
  here.slice(0, 8).forEach(entity);
  if (here.length > 8) say(detail, "p", "and " + (here.length - 8) + " more", "note");
  if (!here.length) say(detail, "p", found.size ? "part of what is lit" : "nothing is computed here", "note");
}
const WORDS = {param: "parameter", layer: "value"};
function entity(key) {
  const item = items[+key.slice(1)], adjoint = key[0] === "a";
  const what = adjoint ? item.adjoint : item, into = say(detail, "article", "");
  const kind = adjoint ? "adjoint of " + item.title : (WORDS[item.kind] || item.kind);
  const flops = what.flops === null || what.flops === undefined ? "" : amount(what.flops);
  const head = say(into, "p", "");
  say(head, "b", adjoint ? item.adjoint.name || "δ" : item.title);
  const parts = [kind, item.path, item.shape, item.place, flops];
  say(head, "span", "  " + parts.filter(Boolean).join(" · "), "note");
  for (const row of what.rows) {
    const p = say(into, "p", row.words || "", row.words ? "" : "formula");
    if (row.depth) p.style.marginLeft = row.depth + "em";
    if (row.words) continue;
    p.append(math(["math", row.math]));
    if (row.note) say(p, "span", row.note);
  }
  if (what.value) say(into, "pre", what.value);
}

// Step by step: the values in order, then their adjoints from the last to the first.
const steps = items.map((_, k) => "v" + k);
for (let k = items.length - 1; k >= 0; k--) if (items[k].adjoint) steps.push("a" + k);
let now = -1;
function go(to) {
  to = Math.max(0, Math.min(steps.length - 1, to));
  for (let k = Math.min(now, to) + 1; k <= Math.max(now, to); k++) {
    one(steps[k]).classList.toggle("done", k <= to);
  }
  now = to;
  const key = steps[now], item = items[+key.slice(1)];
  const name = key[0] === "v" ? item.title : item.adjoint.name || "δ of " + item.title;
  const way = key[0] === "v" ? "forward" : "backward";
  one("step").textContent = way + ", step " + (now + 1) + " of " + steps.length + ": " + name;
  buttons();
  hold(true);
  show(key, true);
}
function buttons() {
  one("first").disabled = one("back").disabled = now <= 0;
  one("next").disabled = one("last").disabled = now >= steps.length - 1;
}
one("first").onclick = () => go(0);
one("back").onclick = () => go(now - 1);
one("next").onclick = () => go(now + 1);
one("last").onclick = () => go(steps.length - 1);
one("held").onclick = () => hold(false);
buttons();

// Pointer and keys.
const target = (event) => event.target.closest && event.target.closest("[data-i]");
const panes = document.querySelector("main");
panes.addEventListener("mouseover", (event) => {
  const e = target(event);
  if (e && !held) show(e.id, false);
});
panes.addEventListener("focusin", (event) => {
  const e = target(event);
  if (e) { hold(false); show(e.id, true); }
});
panes.addEventListener("click", (event) => {
  const e = target(event);
  if (e) { focus(e); show(e.id, true); hold(true); }
});
function focus(e) {
  const before = e.closest("section").querySelector('[tabindex="0"]');
  if (before) before.setAttribute("tabindex", "-1");
  e.setAttribute("tabindex", "0");
  e.focus({preventScroll: true});
}
function beside(e, key) {
  const kind = e.id[0], k = +e.id.slice(1);
  const down = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
  if (kind === "v" || kind === "a") {
    if (!down) return one((key === "ArrowRight" ? "a" : "v") + k);
    for (let i = k + down; i >= 0 && i < items.length; i += down) if (one(kind + i)) return one(kind + i);
    return null;
  }
  if (one(kind + (k + down))) return one(kind + (k + down));
  const all = [...e.closest("section").querySelectorAll("[data-i]")];  // in the next function
  return all[all.indexOf(e) + down];
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const e = document.activeElement && document.activeElement.closest("[data-i]");
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (event.key === "n") go(now + 1);
  else if (event.key === "p") go(now - 1);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(steps.length - 1);
  else if (event.key === "Escape") hold(false);
  else if ((event.key === "Enter" || event.key === " ") && e) { show(e.id, true); hold(true); }
  else if (e && (event.key === "ArrowUp" || event.key === "ArrowDown" || (sideways && e.tagName !== "LI"))) {
    const other = beside(e, event.key);
    if (other) focus(other);
  } else return;
  event.preventDefault();
});
for (const pane of document.querySelectorAll("section")) {
  const e = pane.querySelector("[data-i]");
  if (e) e.setAttribute("tabindex", "0");
}
